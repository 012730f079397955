import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { StoreCall } from './call.ts'
import { S3Error, toUploadError } from './errors.ts'

export interface RemoveOptions {
  client: S3Client
  /** The bucket and key parameters of a request. */
  named(key: string): { Bucket: string; Key: string }
  call: StoreCall
}

const maxKeys = 1000 // S3, for one DeleteObjects request

/** Removes objects; it is no error when some are already gone. @throws UploadError STORE_UNAVAILABLE */
export async function removeObjects(keys: string[], options: RemoveOptions): Promise<void> {
  for (let at = 0; at < keys.length; at += maxKeys) {
    const batch = keys.slice(at, at + maxKeys)
    if (batch.length > 1 && (await removeBatch(batch, options))) continue
    for (const key of batch) await removeOne(key, options)
  }
}

async function removeOne(key: string, { client, named, call }: RemoveOptions): Promise<void> {
  const remove = new DeleteObjectCommand(named(key))
  await call('DeleteObject', (abortSignal) => client.send(remove, { abortSignal })).catch((error: S3Error) => {
    if (error.code !== 'NoSuchKey') throw toUploadError(error)
  })
}

/** False where the store refuses DeleteObjects: some require a checksum that the SDK no longer sends, some do not support it. */
async function removeBatch(keys: string[], { client, named, call }: RemoveOptions): Promise<boolean> {
  const names = keys.map(named)
  const Delete = { Quiet: true, Objects: names.map(({ Key }) => ({ Key })) }
  const remove = new DeleteObjectsCommand({ Bucket: names[0]!.Bucket, Delete })
  try {
    const { Errors = [] } = await call('DeleteObjects', (abortSignal) => client.send(remove, { abortSignal }))
    const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey')
    if (failed) throw new S3Error('DeleteObjects', 500, failed.Code ?? 'unknown')
    return true
  } catch (thrown) {
    const error = thrown as S3Error
    if (error.status === 400 || error.status === 501) return false
    throw toUploadError(error)
  }
}
