import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Ask } from './ask.ts'
import { S3Fault, toRefusal } from './faults.ts'

export interface Removing {
  client: S3Client
  /** The request's names for an object key. */
  named(key: string): { Bucket: string; Key: string }
  ask: Ask
}

// S3 takes no more in one request.
const atOnce = 1000

/** Removes objects, of which some may be gone already. @throws UploadError STORE_UNAVAILABLE */
export async function removeObjects(keys: string[], by: Removing): Promise<void> {
  for (let at = 0; at < keys.length; at += atOnce) {
    const some = keys.slice(at, at + atOnce)
    if (some.length > 1 && (await removeAtOnce(some, by))) continue
    for (const key of some) await removeOne(key, by)
  }
}

async function removeOne(key: string, { client, named, ask }: Removing): Promise<void> {
  const remove = new DeleteObjectCommand(named(key))
  await ask('DeleteObject', (abortSignal) => client.send(remove, { abortSignal })).catch((fault: S3Fault) => {
    if (fault.code !== 'NoSuchKey') throw toRefusal(fault)
  })
}

/** False where the store does not take the request: some want a checksum that the SDK no longer sends, some do not know it. */
async function removeAtOnce(keys: string[], { client, named, ask }: Removing): Promise<boolean> {
  const names = keys.map(named)
  const Delete = { Quiet: true, Objects: names.map(({ Key }) => ({ Key })) }
  const remove = new DeleteObjectsCommand({ Bucket: names[0]!.Bucket, Delete })
  try {
    const { Errors = [] } = await ask('DeleteObjects', (abortSignal) => client.send(remove, { abortSignal }))
    const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey')
    if (failed) throw new S3Fault('DeleteObjects', 500, failed.Code ?? 'unknown')
    return true
  } catch (error) {
    const fault = error as S3Fault
    if (fault.status === 400 || fault.status === 501) return false
    throw toRefusal(fault)
  }
}
