import type { UploadState } from '../../client/api.ts'
import type { Failure, FailureCode } from '../../client/request-error.ts'
import type { TransferState, TransferView } from '../../client/transfer-view.ts'
import { formatBytes, percent } from './format.ts'

/** Where the page knows better than the server what a refusal means for the user. */
const ours: Partial<Record<FailureCode, string>> = {
  NO_ANSWER: 'The server does not answer.',
  FILE_UNREADABLE:
    'The file can no longer be read. It was changed, moved or unplugged after you chose it; choose it again.',
  UNAUTHENTICATED: 'The server does not accept the token.',
  UPLOAD_NOT_FOUND: 'The server no longer has this upload.',
  UPLOAD_GONE: 'This upload was cancelled elsewhere.',
  UPLOAD_EXPIRED: 'This upload was not continued in time and has expired.',
  UPLOAD_LOST: 'The storage behind the server has lost this upload.',
  UPLOAD_LOCKED: 'Another tab or device is sending this upload right now.',
  STORE_UNAVAILABLE: 'The storage behind the server does not answer at the moment.',
  DATABASE_ERROR: 'The server cannot reach its database at the moment.',
  SHUTTING_DOWN: 'The server is restarting.',
  RATE_LIMITED: 'There were too many requests. The server accepts the next one in a moment.',
  INTERNAL_ERROR: 'Something went wrong on the server.',
}

/** What went wrong, in words. The server's own sentence wins unless there is a better one here. */
export function explain(failure: Failure): string {
  const known = failure.code && ours[failure.code]
  if (known) return known
  if (failure.message) return failure.message
  if (failure.status === 413) return 'Something between here and the server refuses files of this size.'
  if (failure.status === 502 || failure.status === 503 || failure.status === 504)
    return 'The server is busy or restarting.'
  return `The server answered with something unexpected${failure.status === null ? '' : ` (${failure.status})`}.`
}

/** The refusal of one file, with what the page knows about the file. */
export function explainFile({ failure, file }: TransferView): string {
  if (!failure) return 'The upload did not work.'
  const words = explain(failure)
  if (failure.code === 'FILE_TOO_LARGE') return `${words} This file has ${formatBytes(file.size)}.`
  return words
}

/** Whether another try could end otherwise; a refusal by the rules would only be repeated. */
export function canRetry(failure: Failure | null): boolean {
  const settled: (FailureCode | null)[] = [
    'FILE_TOO_LARGE',
    'TYPE_NOT_ALLOWED',
    'CATEGORY_NOT_ALLOWED',
    'INVALID_METADATA',
    'FILE_UNREADABLE',
  ]
  return !settled.includes(failure?.code ?? null)
}

/** How much there is of an upload, of which the server has `arrived` bytes. */
export function amountText({ state, size }: { state: UploadState; size: number | null }, arrived: number): string {
  if (size === null) return `${formatBytes(arrived)} so far`
  if (state === 'completed') return formatBytes(size)
  return `${formatBytes(arrived)} of ${formatBytes(size)} (${percent(arrived, size)} %)`
}

/** What the list calls the state of a file: one on its way from this page, or one on the server. */
export type ShownState = TransferState | UploadState | 'incomplete'

/** The one name of each state, on every page. */
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
  lost: 'The storage behind the server has lost this upload.',
  digest: 'The bytes that arrived are not those of the file. Upload it again.',
  type: 'Files of this type may not be uploaded.',
}

/** Why an upload failed, by the server's word for it. */
export function failureText(failure: string | null): string {
  return failures[failure ?? ''] ?? 'The server could not store the file.'
}

/** One file, 2 files, 1,200 files. @param isPartial there are more */
export function files(count: number, isPartial = false): string {
  return count === 1 && !isPartial ? '1 file' : `${count.toLocaleString()}${isPartial ? '+' : ''} files`
}
