import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { StoreCall } from './call.ts'
import { S3Error, toUploadError } from './errors.ts'

export interface RemoveOptions {
  client: S3Client
  /** The request's names for an object key. */
  named(key: string): { Bucket: string; Key: string }
  call: StoreCall
}

// S3 takes no more in one request.
const atOnce = 1000

/** Removes objects, of which some may be gone already. @throws UploadError STORE_UNAVAILABLE */
export async function removeObjects(keys: string[], by: RemoveOptions): Promise<void> {
  for (let at = 0; at < keys.length; at += atOnce) {
    const some = keys.slice(at, at + atOnce)
    if (some.length > 1 && (await removeAtOnce(some, by))) continue
    for (const key of some) await removeOne(key, by)
  }
}

async function removeOne(key: string, { client, named, call }: RemoveOptions): Promise<void> {
  const remove = new DeleteObjectCommand(named(key))
  await call('DeleteObject', (abortSignal) => client.send(remove, { abortSignal })).catch((fault: S3Error) => {
    if (fault.code !== 'NoSuchKey') throw toUploadError(fault)
  })
}

/** False where the store does not take the request: some want a checksum that the SDK no longer sends, some do not know it. */
async function removeAtOnce(keys: string[], { client, named, call }: RemoveOptions): Promise<boolean> {
  const names = keys.map(named)
  const Delete = { Quiet: true, Objects: names.map(({ Key }) => ({ Key })) }
  const remove = new DeleteObjectsCommand({ Bucket: names[0]!.Bucket, Delete })
  try {
    const { Errors = [] } = await call('DeleteObjects', (abortSignal) => client.send(remove, { abortSignal }))
    const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey')
    if (failed) throw new S3Error('DeleteObjects', 500, failed.Code ?? 'unknown')
    return true
  } catch (error) {
    const fault = error as S3Error
    if (fault.status === 400 || fault.status === 501) return false
    throw toUploadError(fault)
  }
}
