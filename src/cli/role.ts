import { InvalidArgumentError } from 'commander'
import type { PolicyDocument } from '../core/policy/policy.ts'

/** @throws InvalidArgumentError that lists the roles, when `role` is none of them */
export function assertRole(role: string, { roles }: Pick<PolicyDocument, 'roles'>): void {
  if (!Object.hasOwn(roles, role))
    throw new InvalidArgumentError(`there is no role ${role}; the roles are ${Object.keys(roles).join(', ')}`)
}
