import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { S3Error, toS3Error, toUploadError } from './errors.ts'

export interface ReadOptions {
  client: S3Client
  /** The request's names for an object key. */
  named(key: string): { Bucket: string; Key: string }
  /** So long a store may take for each step. */
  stepMs: number
  onRequest(operation: string, code: string): void
}

/**
 * The bytes of an object, or of a range of it, `end` exclusive. How long all of it takes is the reader's business; what the store
 * owes is to go on.
 * @throws ObjectMissing; UploadError STORE_UNAVAILABLE, also when the store stops in the middle or tells other bytes
 */
export async function* readObject(
  key: string,
  range: { start: number; end: number } | undefined,
  { client, named, stepMs, onRequest }: ReadOptions,
): AsyncGenerator<Buffer> {
  if (range && range.end <= range.start) return
  const Range = range ? `bytes=${range.start}-${range.end - 1}` : undefined
  const stuck = new AbortController()
  async function soon<T>(step: Promise<T>): Promise<T> {
    const timer = setTimeout(() => stuck.abort(), stepMs)
    return step.finally(() => clearTimeout(timer))
  }
  const get = new GetObjectCommand({ ...named(key), Range })
  const { Body, ContentRange } = await soon(client.send(get, { abortSignal: stuck.signal })).catch((error: unknown) => {
    const fault = toS3Error('GetObject', error)
    onRequest('GetObject', fault.code)
    throw toUploadError(fault)
  })
  onRequest('GetObject', 'OK')
  const chunks = (Body as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  try {
    // Other bytes than those that were asked for would become part of somebody's file.
    if (Range && !ContentRange?.startsWith(`bytes ${range?.start}-`)) throw new S3Error('GetObject', 200, 'NoRange')
    for (let next = await soon(chunks.next()); !next.done; next = await soon(chunks.next())) yield next.value
  } catch (error) {
    stuck.abort()
    throw toUploadError(toS3Error('GetObject', error))
  } finally {
    await chunks.return?.()
  }
}
