import { userInfo } from 'node:os'

/** The name of the operator for the audit log. */
export function operatorName(): string {
  return `${userInfo().username} at the command line`
}
