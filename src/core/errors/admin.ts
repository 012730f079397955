import { defineError } from './define.ts'

/** What the features answer: policies, keys, usage, events, hooks. */
export const adminErrors = {
  // Policies.
  policyVersionNotFound: defineError('NOT_FOUND', 'There is no such version of the policies.'),
  policiesInvalid: defineError('INVALID_FIELD', ({ problems }: { problems: string }) => problems),
  policiesChanged: defineError(
    'PRECONDITION_FAILED',
    ({ version }: { expected: number; version: number }) =>
      `The policies were changed in the meantime: version ${version} is active now. Load it and make your change again.`,
  ),
  ifMatchMissing: defineError('INVALID_REQUEST', 'If-Match must be the ETag of the policies to replace.'),
  rolesWouldBeRemoved: defineError(
    'INVALID_REQUEST',
    ({ roles }: { roles: string }) =>
      `This removes the roles ${roles}, whose users could no longer upload. Add them to the document, send the change with PATCH, or set removeRoles to true.`,
  ),

  // API keys.
  keyNotFound: defineError('NOT_FOUND', 'There is no such key.'),
  keyRevoked: defineError('UNAUTHENTICATED', 'The key was revoked.'),
  keyExpired: defineError('UNAUTHENTICATED', 'The key has expired.'),
  keyInvalid: defineError('INVALID_FIELD', ({ reason }: { reason: string }) => `${reason}.`),
  unknownRole: defineError(
    'INVALID_FIELD',
    ({ role, known }: { role: string; known: string }) => `There is no role ${role}. The roles are ${known}.`,
  ),

  // Usage and events.
  cursorInvalid: defineError('INVALID_REQUEST', 'The value of `after` is not one that a page returned.'),
  eventsOfOthers: defineError('FORBIDDEN', 'Only administrators may receive the events of all uploads.'),
  tooManyStreams: defineError(
    'RATE_LIMITED',
    ({ retryAfter }: { retryAfter: number }) =>
      `Too many event streams are open. Close one, or try again in ${retryAfter} seconds.`,
  ),

  // Hooks.
  hookFailed: defineError(
    'IDENTITY_UNAVAILABLE',
    (_: { hook: string }) => 'The server cannot decide that right now. Please try again in a moment.',
  ),
  contentDeniedByHook: defineError(
    'TYPE_NOT_ALLOWED',
    ({ reason }: { reason?: string | undefined }) => reason ?? 'You may not send this file.',
  ),
  deniedByHook: defineError(
    'FORBIDDEN',
    ({ reason }: { action: string; reason?: string | undefined }) => reason ?? 'You are not allowed to do this.',
  ),
}
