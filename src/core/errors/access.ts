import { defineError } from './define.ts'

/** What the caller may not ask, and who they could not be shown to be. */
export const accessErrors = {
  adminsOnly: defineError('FORBIDDEN', 'Only administrators may do this.'),
  otherTenant: defineError(
    'FORBIDDEN',
    ({ tenant }: { tenant: string | null }) => `You administer the tenant ${tenant} only.`,
  ),
  scopeMissing: defineError('FORBIDDEN', 'This key was not made for that.'),
  mayNotActForOthers: defineError(
    'FORBIDDEN',
    ({ field }: { field: string }) => `${field} is not that of the token, and this token cannot act for other users.`,
  ),
  otherRole: defineError('FORBIDDEN', 'user_role is not the role of the key. Only an administrator may name another.'),
  resumeTokenExpired: defineError('UNAUTHENTICATED', 'The resume token has expired with its upload.'),
  resumeTokenOfOther: defineError('UNAUTHENTICATED', 'A resume token is good for its own upload only.'),
}
