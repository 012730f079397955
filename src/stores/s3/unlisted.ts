/*
 * A key without s3:ListBucket is told 403 of an object that is not there, as of one that it may not read. The two are told apart by an
 * object that surely is there: when that can be read and another one cannot, the other one is missing.
 */
import { UploadError } from '../../core/errors/error.ts'
import { probeKey } from '../../core/pairing/marker.ts'
import type { ObjectStore } from '../../core/ports.ts'
import { S3Error } from './errors.ts'

/** What this key may see of its bucket. */
export interface Sight {
  /** Whether the key may not list. Known after the first check. */
  isUnlisted: boolean
  /** Whether `error` says 403 of an object that is missing. Writes an object and reads it. */
  isMissing(error: unknown): Promise<boolean>
  /** Writes an object, looks for it and reads it, as uploads do. @throws UploadError, S3Error */
  prove(): Promise<void>
}

/** For the operator of a bucket whose key may not list. */
export function unlistedNotice(bucket: string): string {
  return `The key may not list the bucket ${bucket} (s3:ListBucket): uploads work, but what ended uploads and crashes leave is not found and not removed. docs/buckets.md has the whole policy to paste.`
}

export interface Asking extends Pick<ObjectStore, 'put' | 'read'> {
  /** HEAD of an object. @throws S3Error */
  look(key: string): Promise<unknown>
}

/** What a key that asks so may see. */
export function createSight({ put, look, read }: Asking): Sight {
  const sight: Sight = {
    isUnlisted: false,
    async isMissing(error) {
      if (!sight.isUnlisted || !isForbidden(error)) return false
      return sight.prove().then(
        () => true,
        () => false,
      )
    },
    async prove() {
      const bytes = Buffer.from(`${new Date().toISOString()}\n`)
      await put(probeKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'text/plain' })
      await look(probeKey)
      for await (const _ of read(probeKey)) {
        // That it comes is all.
      }
    },
  }
  return sight
}

function isForbidden(error: unknown): boolean {
  const fault = error instanceof UploadError ? error.cause : error
  return fault instanceof S3Error && fault.status === 403
}
