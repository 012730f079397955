import type { Failure, FailureCode } from '../../client/request-error.ts'
import { explain as explainForUser } from '../ui/messages.ts'
import { visible } from '../ui/visible.ts'

/** Messages that must be different for an admin than for the user who uploads. */
const overrides: Partial<Record<FailureCode, string>> = {
  UNAUTHENTICATED: 'The server does not accept the token: it has expired or is not valid on this server.',
  FORBIDDEN: 'This token is valid, but not an admin token. `npx landfall token --admin` prints one.',
  UPLOAD_NOT_FOUND: 'This upload no longer exists.',
  UPLOAD_LOCKED: 'A client is uploading it right now and did not stop in time. Try again in a moment.',
  UPLOAD_GONE: 'This upload was cancelled already.',
  UPLOAD_EXPIRED: 'This upload has expired already.',
  UPLOAD_LOST: 'The store has lost this upload.',
}

/** The message for a failure, for an admin. */
export function explain(failure: Failure): string {
  return (failure.code && overrides[failure.code]) ?? explainForUser(failure)
}

const failures: Record<string, string> = {
  lost: 'the store has lost the upload',
  digest: 'the received bytes do not match the checksum',
  type: 'the content has a type that is not allowed',
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
  'audit.drop': 'dropped refused requests from the audit log: too many',
}

/** An action in words, to follow the name of the user. */
export function actionText(action: string): string {
  return actions[action] ?? action
}

/** The names of the actions in the audit log. */
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
