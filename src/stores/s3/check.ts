import { HeadBucketCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { UploadError } from '../../core/errors/error.ts'
import type { StoreCall } from './call.ts'
import { explain, factsOf, isUnknownKey, type S3Error } from './errors.ts'

export interface CheckOptions {
  client: S3Client
  bucket: string
  prefix: string
  call: StoreCall
}

const checkMs = 5000

/**
 * Whether the bucket is there for this key. False when the key is known and may not look at the bucket as a whole (s3:ListBucket): then
 * only a read can tell whether it may be used.
 * @throws UploadError STORE_UNAVAILABLE; R2_ERROR when asking again does not help
 */
export async function checkBucket({ client, bucket, prefix, call }: CheckOptions): Promise<boolean> {
  try {
    const head = new HeadBucketCommand({ Bucket: bucket })
    await call('HeadBucket', (abortSignal) => client.send(head, { abortSignal }), checkMs)
    return true
  } catch (thrown) {
    const fault = thrown as S3Error
    if (fault.isTransient) throw bucketRefusal('STORE_UNAVAILABLE', fault, bucket)
    const reason = await reasonOf(fault)
    if (reason?.status === 403 && !isUnknownKey(reason) && reason.code !== 'RequestTimeTooSkewed') return false
    throw bucketRefusal('R2_ERROR', reason ?? fault, bucket)
  }

  /**
   * An answer to HEAD has no body, and so no code: a key that the S3 server does not know looks like one without the right. A list
   * needs the same right as HeadBucket, and its refusal has a code.
   */
  async function reasonOf(fault: S3Error): Promise<S3Error> {
    if (fault.status === 404) return fault
    const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 })
    const reason = await call('ListObjectsV2', (abortSignal) => client.send(list, { abortSignal }), checkMs).then(
      () => null,
      (refused: S3Error) => refused,
    )
    return reason?.status === fault.status ? reason : fault
  }
}

/** What is wrong with the bucket, for the operator. */
export function bucketRefusal(code: 'STORE_UNAVAILABLE' | 'R2_ERROR', fault: S3Error, bucket: string): UploadError {
  return new UploadError(code, `${explain(fault, bucket)}.`, factsOf(fault), { cause: fault })
}
