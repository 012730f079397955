import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { S3Error, toS3Error, toUploadError } from './errors.ts'

export interface ReadOptions {
  client: S3Client
  /** The bucket and key parameters of a request. */
  named(key: string): { Bucket: string; Key: string }
  /** The longest wait for the response and for each chunk of the body. */
  stepMs: number
  onRequest(operation: string, code: string): void
}

/**
 * Yields the bytes of an object, or of a range of it, `end` exclusive. The reader may take any time in total; only the store's steps
 * have a timeout.
 * @throws NoSuchKey; UploadError STORE_UNAVAILABLE, also when the store stalls or answers with another range
 */
export async function* readObject(
  key: string,
  range: { start: number; end: number } | undefined,
  { client, named, stepMs, onRequest }: ReadOptions,
): AsyncGenerator<Buffer> {
  if (range && range.end <= range.start) return
  const Range = range ? `bytes=${range.start}-${range.end - 1}` : undefined
  const stalled = new AbortController()
  async function withTimeout<T>(step: Promise<T>): Promise<T> {
    const timer = setTimeout(() => stalled.abort(), stepMs)
    return step.finally(() => clearTimeout(timer))
  }
  const get = new GetObjectCommand({ ...named(key), Range })
  const sending = withTimeout(client.send(get, { abortSignal: stalled.signal }))
  const { Body, ContentRange } = await sending.catch((thrown: unknown) => {
    const error = toS3Error('GetObject', thrown)
    onRequest('GetObject', error.code)
    throw toUploadError(error)
  })
  onRequest('GetObject', 'OK')
  const chunks = (Body as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  try {
    // A server that ignores Range sends other bytes, which would become part of a file.
    if (Range && !ContentRange?.startsWith(`bytes ${range?.start}-`)) throw new S3Error('GetObject', 200, 'NoRange')
    for (let next = await withTimeout(chunks.next()); !next.done; next = await withTimeout(chunks.next()))
      yield next.value
  } catch (error) {
    stalled.abort()
    throw toUploadError(toS3Error('GetObject', error))
  } finally {
    await chunks.return?.()
  }
}
