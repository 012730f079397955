import { HeadBucketCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { UploadError } from '../../core/errors.ts'
import type { Ask } from './ask.ts'
import { explain, type S3Fault } from './faults.ts'

export interface Checking {
  client: S3Client
  bucket: string
  prefix: string
  ask: Ask
}

const checkMs = 5000

/** Whether the bucket is there for this key. @throws UploadError STORE_UNAVAILABLE; R2_ERROR when asking again does not help */
export async function checkBucket({ client, bucket, prefix, ask }: Checking): Promise<void> {
  try {
    const head = new HeadBucketCommand({ Bucket: bucket })
    await ask('HeadBucket', (abortSignal) => client.send(head, { abortSignal }), checkMs)
  } catch (thrown) {
    const fault = thrown as S3Fault
    if (fault.isTransient) throw refusal('STORE_UNAVAILABLE', fault)
    throw refusal('R2_ERROR', await withReason(fault))
  }

  /**
   * An answer to HEAD has no body, and so no code: a key that the S3 server does not know looks like one without the right. A list
   * needs the same right as HeadBucket, and its refusal has a code.
   */
  async function withReason(fault: S3Fault): Promise<S3Fault> {
    if (fault.status === 404) return fault
    const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 })
    const reason = await ask('ListObjectsV2', (abortSignal) => client.send(list, { abortSignal }), checkMs).then(
      () => null,
      (refused: S3Fault) => refused,
    )
    return reason?.status === fault.status ? reason : fault
  }

  function refusal(code: 'STORE_UNAVAILABLE' | 'R2_ERROR', fault: S3Fault): UploadError {
    return new UploadError(code, `${explain(fault, bucket)}.`, {}, { cause: fault })
  }
}
