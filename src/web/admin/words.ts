import type { UploadState } from '../../client/api.ts'
import type { Failure, FailureCode } from '../../client/refusal.ts'
import { explain as explainToAnybody } from '../upload/words.ts'

/** Where a refusal means something else to who runs the server than to who uploads. */
const ours: Partial<Record<FailureCode, string>> = {
  UNAUTHENTICATED: 'The server does not accept the token: it has ended, or was never good here.',
  FORBIDDEN: 'This token is good, but not an administrator’s. `landfall token --admin` makes one that is.',
  UPLOAD_NOT_FOUND: 'There is no such upload any more.',
  UPLOAD_LOCKED: 'Somebody is sending this upload right now and did not let go in time. Try again in a moment.',
  UPLOAD_GONE: 'This upload was cancelled already.',
  UPLOAD_EXPIRED: 'This upload has expired already.',
  UPLOAD_LOST: 'The store has lost this upload.',
}

/** What went wrong, in words for who runs the server. */
export function explain(failure: Failure): string {
  return (failure.code && ours[failure.code]) ?? explainToAnybody(failure)
}

export const stateWords: Record<UploadState, string> = {
  receiving: 'Receiving',
  finishing: 'Finishing',
  completed: 'Completed',
  cancelled: 'Cancelled',
  expired: 'Expired',
  failed: 'Failed',
}

const failures: Record<string, string> = {
  lost: 'the store has lost it',
  digest: 'not the bytes that were promised',
  type: 'its bytes are of a type that may not be sent',
}

/** Why an upload failed. */
export function failureWords(failure: string): string {
  return failures[failure] ?? failure
}

const actions: Record<string, string> = {
  'upload.create': 'began an upload',
  'upload.complete': 'completed an upload',
  'upload.cancel': 'cancelled an upload',
  'upload.expire': 'let an upload expire',
  'upload.fail': 'gave an upload up as failed',
  'request.refuse': 'was refused',
  'policy.change': 'changed the policies',
  'key.create': 'made an API key',
  'key.revoke': 'revoked an API key',
  'audit.drop': 'left refusals out of the record: too many',
}

/** What was done, as the end of a sentence that begins with who did it. */
export function actionWords(action: string): string {
  return actions[action] ?? action
}

/** The names of actions that the record knows. */
export const actionNames = Object.keys(actions)

/** Somebody's name, with their tenant if they have one. */
export function nameOf({ user, tenant }: { user: string | null; tenant: string | null }): string {
  if (user === null) return 'the server'
  return tenant === null ? user : `${user} of ${tenant}`
}

/** A count with its noun: 1 upload, 2 uploads. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}
