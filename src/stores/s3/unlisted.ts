/*
 * For a key without s3:ListBucket, S3 answers 403 both for a missing object and for one that the key may not read. An object that is
 * certain to exist distinguishes them: when the key can read that object, an object with 403 is missing.
 */
import { UploadError } from '../../core/errors/error.ts'
import { probeKey } from '../../core/pairing/marker.ts'
import type { ObjectStore } from '../../core/ports/object-store.ts'
import { S3Error } from './errors.ts'

/** Whether the key may list its bucket. */
export interface ListAccess {
  /** True when the key may not list. Known after the first check. */
  isUnlisted: boolean
  /** Whether `error` is a 403 that means a missing object. Writes and reads an object to find out. */
  isMissing(error: unknown): Promise<boolean>
  /** Writes an object, sends HEAD for it and reads it, as uploads do. @throws UploadError, S3Error */
  assertUsable(): Promise<void>
}

/** The notice for the operator of a bucket whose key may not list. */
export function unlistedNotice(bucket: string): string {
  return `The key may not list the bucket ${bucket} (s3:ListBucket): uploads work, but objects that ended uploads and crashes leave are neither found nor removed. docs/buckets.md has the complete policy to paste.`
}

export interface ObjectCalls extends Pick<ObjectStore, 'put' | 'read'> {
  /** HEAD of an object. @throws S3Error */
  head(key: string): Promise<unknown>
}

/** The access of a key, found out by these calls. */
export function createListAccess({ put, head, read }: ObjectCalls): ListAccess {
  const access: ListAccess = {
    isUnlisted: false,
    async isMissing(error) {
      if (!access.isUnlisted || !isForbidden(error)) return false
      return access.assertUsable().then(
        () => true,
        () => false,
      )
    },
    async assertUsable() {
      const bytes = Buffer.from(`${new Date().toISOString()}\n`)
      await put(probeKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'text/plain' })
      await head(probeKey)
      for await (const _ of read(probeKey)) {
        // Reading without an error is the proof.
      }
    },
  }
  return access
}

function isForbidden(error: unknown): boolean {
  const cause = error instanceof UploadError ? error.cause : error
  return cause instanceof S3Error && cause.status === 403
}
