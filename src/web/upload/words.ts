import type { UploadState } from '../../client/api.ts'
import type { Failure, FailureCode } from '../../client/refusal.ts'
import type { TransferView } from '../../client/transfer-view.ts'
import { formatBytes, percent } from './format.ts'

/** Where the page knows better than the server what a refusal means for the person in front of it. */
const ours: Partial<Record<FailureCode, string>> = {
  NO_ANSWER: 'The server does not answer.',
  FILE_UNREADABLE:
    'The file cannot be read any more. It was changed, moved or unplugged after you chose it; choose it again.',
  UNAUTHENTICATED: 'The server does not accept the token.',
  UPLOAD_NOT_FOUND: 'The server does not know this upload any more.',
  UPLOAD_GONE: 'This upload was cancelled elsewhere.',
  UPLOAD_EXPIRED: 'This upload was left alone for too long, and the server has given it up.',
  UPLOAD_LOST: 'The storage behind the server has lost this upload.',
  UPLOAD_LOCKED: 'Another tab or device is sending this upload right now.',
  STORE_UNAVAILABLE: 'The storage behind the server does not answer at the moment.',
  DATABASE_ERROR: 'The server cannot reach its database at the moment.',
  SHUTTING_DOWN: 'The server is restarting.',
  RATE_LIMITED: 'The server asks for a little patience.',
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
  if (!failure) return 'It did not work.'
  const words = explain(failure)
  if (failure.code === 'FILE_TOO_LARGE') return `${words} This file has ${formatBytes(file.size)}.`
  return words
}

/** Whether another try could end otherwise; a refusal by the rules would only be repeated. */
export function mayHelpToRetry(failure: Failure | null): boolean {
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
export function amountWords({ state, size }: { state: UploadState; size: number | null }, arrived: number): string {
  if (size === null) return `${formatBytes(arrived)} so far`
  if (state === 'completed') return formatBytes(size)
  return `${formatBytes(arrived)} of ${formatBytes(size)} (${percent(arrived, size)} %)`
}

/** A role with its article: `a member`, `an editor`. */
export function aRole(role: string): string {
  return `${/^[aeiou]/i.test(role) ? 'an' : 'a'} ${role}`
}

/** One file, two files. */
export function files(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}
