import { userInfo } from 'node:os'

/** Whose hands are on the keyboard, for the audit log. */
export function operatorName(): string {
  return `${userInfo().username} at the command line`
}
