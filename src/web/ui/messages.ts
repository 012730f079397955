import type { Failure, FailureCode } from '../../client/request-error.ts'
import type { TransferState, TransferView } from '../../client/transfer-view.ts'
import type { UploadState } from '../../contract/upload.ts'
import { formatBytes, percent } from './format.ts'

/** Messages that are clearer to the user than those of the server. */
const overrides: Partial<Record<FailureCode, string>> = {
  NO_ANSWER: 'The server does not respond.',
  FILE_UNREADABLE:
    'The file can no longer be read. It was changed, moved or disconnected after you chose it. Choose it again.',
  UNAUTHENTICATED: 'The server does not accept the token.',
  UPLOAD_NOT_FOUND: 'The server no longer has this upload.',
  UPLOAD_GONE: 'This upload was cancelled on another page or device.',
  UPLOAD_EXPIRED: 'This upload was not resumed in time and has expired.',
  UPLOAD_LOST: 'The server’s storage has lost this upload. Upload the file again.',
  UPLOAD_LOCKED: 'Another tab or device is sending this upload right now.',
  STORE_UNAVAILABLE: 'The server’s storage is unavailable at the moment.',
  DATABASE_ERROR: 'The server cannot reach its database at the moment.',
  SHUTTING_DOWN: 'The server is restarting.',
  RATE_LIMITED: 'There were too many requests. Try again in a moment.',
  INTERNAL_ERROR: 'Something went wrong on the server.',
}

/** The message for a failure: the server's, unless there is a clearer one here. */
export function explain(failure: Failure): string {
  const known = failure.code && overrides[failure.code]
  if (known) return known
  if (failure.message) return failure.message
  if (failure.status === 413) return 'A proxy between this page and the server refuses requests of this size.'
  if (failure.status === 502 || failure.status === 503 || failure.status === 504)
    return 'The server is busy or restarting.'
  return `The server sent an unexpected response${failure.status === null ? '' : ` (${failure.status})`}.`
}

/** The message for a failed transfer, with the size of the file where it matters. */
export function explainFile({ failure, file }: TransferView): string {
  if (!failure) return 'The upload failed.'
  const message = explain(failure)
  if (failure.code === 'FILE_TOO_LARGE') return `${message} This file has ${formatBytes(file.size)}.`
  return message
}

/** Whether a retry may succeed; the server would only repeat an error of its policy. */
export function canRetry(failure: Failure | null): boolean {
  const permanent: (FailureCode | null)[] = [
    'FILE_TOO_LARGE',
    'TYPE_NOT_ALLOWED',
    'CATEGORY_NOT_ALLOWED',
    'INVALID_METADATA',
    'FILE_UNREADABLE',
  ]
  return !permanent.includes(failure?.code ?? null)
}

/** The progress of an upload of which the server has `received` bytes. */
export function amountText({ state, size }: { state: UploadState; size: number | null }, received: number): string {
  if (size === null) return `${formatBytes(received)} so far`
  if (state === 'completed') return formatBytes(size)
  return `${formatBytes(received)} of ${formatBytes(size)} (${percent(received, size)} %)`
}

/** The state of a file in the list: of its transfer, or of its upload on the server. */
export type ShownState = TransferState | UploadState | 'incomplete'

/** The name of each state on all pages. */
export const stateText: Record<ShownState, string> = {
  queued: 'Queued',
  sending: 'Uploading',
  receiving: 'Uploading',
  incomplete: 'Incomplete',
  finishing: 'Finishing',
  waiting: 'Waiting for the network',
  unauthorized: 'Waiting for you to sign in',
  paused: 'Paused',
  elsewhere: 'Uploading on another device',
  completed: 'Completed',
  failed: 'Failed',
  cancelled: 'Cancelled',
  expired: 'Expired',
}

const failures: Record<string, string> = {
  lost: 'The server’s storage has lost this upload. Upload the file again.',
  digest: 'The received bytes do not match the checksum of the file. Upload it again.',
  type: 'Files of this type may not be uploaded.',
}

/** The message for the server's `failure` field. */
export function failureText(failure: string | null): string {
  return failures[failure ?? ''] ?? 'The server could not store the file.'
}

/** A count of files: `1 file`, `1,200 files`. @param isPartial there may be more: `50+ files` */
export function files(count: number, isPartial = false): string {
  return count === 1 && !isPartial ? '1 file' : `${count.toLocaleString()}${isPartial ? '+' : ''} files`
}
