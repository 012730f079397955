import type { UploadError } from '../../errors/error.ts'
import { errors } from '../../errors/errors.ts'
import { defineRule } from './rule.ts'

/** The policy must allow the size. A file of unknown length has at least one byte; the limit is enforced while its bytes arrive. */
export const sizeRule = defineRule({ maxSize: 'size' }, ({ actor, creation, policy }) => {
  if (policy.maxSize !== null && (creation.size ?? 1) > policy.maxSize)
    throw tooLarge(actor.role, policy.maxSize, creation.size)
})

/** The error for a file that is, or turns out to be, too large. */
export function tooLarge(role: string, maxSize: number, size: number | null = null, rule = 'maxSize'): UploadError {
  return errors.fileTooLarge({ role, maxSize, size, rule })
}
