import { HeadBucketCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
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
 * Whether the bucket exists and this key may list it. False when the server knows the key but denies it s3:ListBucket: then only
 * writing and reading an object shows whether the bucket can be used.
 * @throws UploadError STORE_UNAVAILABLE; R2_ERROR when a retry cannot help
 */
export async function checkBucket({ client, bucket, prefix, call }: CheckOptions): Promise<boolean> {
  try {
    const head = new HeadBucketCommand({ Bucket: bucket })
    await call('HeadBucket', (abortSignal) => client.send(head, { abortSignal }), checkMs)
    return true
  } catch (thrown) {
    const error = thrown as S3Error
    if (error.isTransient) throw toBucketError(error, bucket)
    const detailed = await withCode(error)
    if (detailed.status === 403 && !isUnknownKey(detailed) && detailed.code !== 'RequestTimeTooSkewed') return false
    throw errors.bucketUnusable({ reason: explain(detailed, bucket), ...factsOf(detailed) }, detailed)
  }

  /**
   * A response to HEAD has no body and therefore no error code, so an unknown key looks like a key without the right. ListObjectsV2
   * needs the same right as HeadBucket, and its error response has a code.
   */
  async function withCode(error: S3Error): Promise<S3Error> {
    if (error.status === 404) return error
    const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 })
    const detailed = await call('ListObjectsV2', (abortSignal) => client.send(list, { abortSignal }), checkMs).then(
      () => null,
      (listError: S3Error) => listError,
    )
    return detailed?.status === error.status ? detailed : error
  }
}

/** The bucket's error for the operator: STORE_UNAVAILABLE when a retry may help, else R2_ERROR. */
export function toBucketError(error: S3Error, bucket: string): UploadError {
  const facts = { reason: explain(error, bucket), ...factsOf(error) }
  return error.isTransient ? errors.bucketUnavailable(facts, error) : errors.bucketUnusable(facts, error)
}
