import { type ErrorCode, type Facts, UploadError } from './error.ts'

/**
 * A line of the error table: a maker of errors with `code` and `sentence`. A sentence that names limits or offsets is a function of the
 * facts, so the compiler asks every caller for them; the same facts go to the log.
 * @returns the maker; its last argument is the cause, which is logged and never sent
 */
export function defineError(code: ErrorCode, sentence: string): (facts?: Facts, cause?: unknown) => UploadError
export function defineError<F extends Facts>(
  code: ErrorCode,
  sentence: (facts: F) => string,
): (facts: F, cause?: unknown) => UploadError
export function defineError<F extends Facts>(code: ErrorCode, sentence: string | ((facts: F) => string)) {
  return (facts?: F, cause?: unknown) =>
    new UploadError(
      code,
      typeof sentence === 'string' ? sentence : sentence(facts as F),
      facts,
      cause === undefined ? undefined : { cause },
    )
}
