import type { UploadError } from '../errors/error.ts'
import { errors as allErrors } from '../errors/errors.ts'
import { formatSize } from '../size.ts'
import type { Policy } from './policy.ts'
import { countOne, retryAfter } from './rate.ts'

/** What one user has stored and sent. `…Bytes` are bytes. */
export interface Usage {
  /** Reserved for unfinished uploads. */
  reservedBytes: number
  /** Of completed uploads. */
  storedBytes: number
  storedFiles: number
  /** Uploads in progress: neither completed nor ended otherwise. */
  openUploads: number
  /** The open uploads that will be files of their own, which partial uploads are not. */
  openFiles: number
  /** Of uploads created today (UTC): the reserved size while they are open, afterwards the bytes that arrived. */
  dayBytes: number
  dayFiles: number
  /** The `at` of `countOne` for creations. */
  creationsUntil: Date | null
}

/** The fields of a policy that the database enforces, all in one statement, when an upload is created. */
export type Quota = Pick<
  Policy,
  'uploadsAtOnce' | 'creationsPerMinute' | 'bytesPerDay' | 'filesPerDay' | 'totalBytes' | 'totalFiles'
>

/** No limit of any kind. */
export const unlimitedQuota: Quota = {
  uploadsAtOnce: null,
  creationsPerMinute: null,
  bytesPerDay: null,
  filesPerDay: null,
  totalBytes: null,
  totalFiles: null,
}

/** The usage of a user who has sent nothing yet. */
export const noUsage: Usage = {
  reservedBytes: 0,
  storedBytes: 0,
  storedFiles: 0,
  openUploads: 0,
  openFiles: 0,
  dayBytes: 0,
  dayFiles: 0,
  creationsUntil: null,
}

/**
 * The quotas that one more upload would exceed, the deciding one first; empty when it may be created. An upload of unknown `size`
 * reserves all bytes that are left, and needs at least one.
 */
export function quotaErrors(
  quota: Quota,
  usage: Usage,
  upload: { size: number | null; isFile: boolean },
  now: Date,
): UploadError[] {
  const size = upload.size ?? 1
  const errors: UploadError[] = []
  const { creationsPerMinute, uploadsAtOnce, totalBytes, totalFiles, bytesPerDay, filesPerDay } = quota
  if (creationsPerMinute !== null) {
    const { waitMs } = countOne(usage.creationsUntil?.getTime() ?? null, now.getTime(), creationsPerMinute)
    if (waitMs > 0)
      errors.push(
        allErrors.creationsTooFast({
          perMinute: creationsPerMinute,
          rule: 'creationsPerMinute',
          waitMs,
          retryAfter: retryAfter(waitMs),
        }),
      )
  }
  if (uploadsAtOnce !== null && usage.openUploads >= uploadsAtOnce)
    errors.push(allErrors.tooManyOpen({ most: uploadsAtOnce, rule: 'uploadsAtOnce', retryAfter: waitForCompletion }))
  const usedBytes = usage.reservedBytes + usage.storedBytes
  if (totalBytes !== null && usedBytes + size > totalBytes)
    errors.push(
      exceeded(
        'totalBytes',
        `There is room for ${left(totalBytes - usedBytes)} more of your ${formatSize(totalBytes)}.`,
      ),
    )
  const files = usage.storedFiles + usage.openFiles
  if (upload.isFile && totalFiles !== null && files + 1 > totalFiles)
    errors.push(exceeded('totalFiles', `You may have at most ${totalFiles} files.`))
  if (bytesPerDay !== null && usage.dayBytes + size > bytesPerDay)
    errors.push(
      exceeded(
        'bytesPerDay',
        `You may send ${left(bytesPerDay - usage.dayBytes)} more today of ${formatSize(bytesPerDay)} a day (UTC).`,
      ),
    )
  if (upload.isFile && filesPerDay !== null && usage.dayFiles + 1 > filesPerDay)
    errors.push(exceeded('filesPerDay', `You may send at most ${filesPerDay} files a day (UTC).`))
  return errors
}

// Seconds. When an upload will end is not known, and a client that tries again every few seconds costs little.
const waitForCompletion = 5

function exceeded(rule: keyof Quota, reason: string): UploadError {
  return allErrors.quotaExceeded({ reason, rule })
}

function left(bytes: number): string {
  return formatSize(Math.max(0, bytes))
}
