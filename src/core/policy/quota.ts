import type { UploadError } from '../errors/error.ts'
import { errors as allErrors } from '../errors/errors.ts'
import { formatSize } from '../size.ts'
import type { Policy } from './policy.ts'
import { countOne, retryAfter } from './rate.ts'

/** What one user takes of the server. Bytes unless it says otherwise. */
export interface Usage {
  /** Room that unfinished uploads have been given. */
  reservedBytes: number
  /** Finished files. */
  storedBytes: number
  storedFiles: number
  /** Uploads that are neither complete nor ended in another way. */
  openUploads: number
  /** Those of them that will be files; parts of a later file are not. */
  openFiles: number
  /** Of uploads created today (UTC): their size while they are open, afterwards what really came. */
  dayBytes: number
  dayFiles: number
  /** Until when creations are paid for, in the sense of `countOne`. */
  creationsUntil: Date | null
}

/** The fields of a policy that the database holds uploads to, all together when one is created. */
export type Quota = Pick<
  Policy,
  'uploadsAtOnce' | 'creationsPerMinute' | 'bytesPerDay' | 'filesPerDay' | 'totalBytes' | 'totalFiles'
>

/** Somebody who has sent nothing yet. */
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
 * Why one more upload would not be let in, the deciding reason first; empty when it would. An upload of unknown `size` is
 * given what room is left, and needs at least a byte of it.
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
  const taken = usage.reservedBytes + usage.storedBytes
  if (totalBytes !== null && taken + size > totalBytes)
    errors.push(
      exceeded('totalBytes', `There is room for ${left(totalBytes - taken)} more of your ${formatSize(totalBytes)}.`),
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

// Nobody knows when an upload ends; a client that asks every few seconds costs little.
const waitForCompletion = 5

function exceeded(rule: keyof Quota, message: string): UploadError {
  return allErrors.quotaExceeded({ reason: message, rule })
}

function left(bytes: number): string {
  return formatSize(Math.max(0, bytes))
}
