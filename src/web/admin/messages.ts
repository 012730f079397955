import type { Failure, FailureCode } from '../../client/request-error.ts'
import { explain as explainToAnybody } from '../upload/messages.ts'
import { visible } from '../upload/visible.ts'

/** Where a refusal means something else to who runs the server than to who uploads. */
const ours: Partial<Record<FailureCode, string>> = {
  UNAUTHENTICATED: 'The server does not accept the token: it has expired, or is not valid on this server.',
  FORBIDDEN: 'This token is valid, but not an admin token. `landfall token --admin` prints one.',
  UPLOAD_NOT_FOUND: 'There is no such upload any more.',
  UPLOAD_LOCKED: 'A client is uploading it right now and did not stop in time. Try again in a moment.',
  UPLOAD_GONE: 'This upload was cancelled already.',
  UPLOAD_EXPIRED: 'This upload has expired already.',
  UPLOAD_LOST: 'The store has lost this upload.',
}

/** What went wrong, in words for who runs the server. */
export function explain(failure: Failure): string {
  return (failure.code && ours[failure.code]) ?? explainToAnybody(failure)
}

const failures: Record<string, string> = {
  lost: 'the store has lost it',
  digest: 'not the bytes that were promised',
  type: 'its bytes are of a type that may not be sent',
}

/** Why an upload failed. */
export function failureText(failure: string): string {
  return failures[failure] ?? failure
}

const actions: Record<string, string> = {
  'upload.create': 'created an upload',
  'upload.complete': 'completed an upload',
  'upload.cancel': 'cancelled an upload',
  'upload.expire': 'expired an upload',
  'upload.fail': 'marked an upload as failed',
  'request.refuse': 'was refused',
  'policy.change': 'changed the policies',
  'key.create': 'created an API key',
  'key.revoke': 'revoked an API key',
  'audit.drop': 'left refusals out of the audit log: too many',
}

/** What was done, as the end of a sentence that begins with who did it. */
export function actionText(action: string): string {
  return actions[action] ?? action
}

/** The names of actions that the record knows. */
export const actionNames = Object.keys(actions)

/** The name of a user, with the tenant if there is one. */
export function nameOf({ user, tenant }: { user: string | null; tenant: string | null }): string {
  if (user === null) return 'the server'
  return visible(tenant === null ? user : `${user} (${tenant})`)
}

/** A count with its noun: 1 upload, 2 uploads. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}
