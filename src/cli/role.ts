import { InvalidArgumentError } from 'commander'
import type { PolicyDocument } from '../core/policy/policy.ts'

/** @throws InvalidArgumentError with the roles that there are, when `role` is none of them */
export function assertRole(role: string, { roles }: Pick<PolicyDocument, 'roles'>): void {
  if (!Object.hasOwn(roles, role))
    throw new InvalidArgumentError(`there is no role ${role}; there are ${Object.keys(roles).join(', ')}`)
}
