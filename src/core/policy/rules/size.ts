import type { UploadError } from '../../errors/error.ts'
import { errors } from '../../errors/errors.ts'
import type { Rule } from './rule.ts'

/** A file is at most as long as its owner's role allows. Unknown lengths, of a byte at least, are held to it while the bytes flow. */
export const sizeRule: Rule = ({ actor, creation, policy }) => {
  if (policy.maxSize !== null && (creation.size ?? 1) > policy.maxSize)
    throw tooLarge(actor.role, policy.maxSize, creation.size)
}

/** The refusal of a file that is, or turns out to be, too long. */
export function tooLarge(role: string, maxSize: number, size: number | null = null, rule = 'maxSize'): UploadError {
  return errors.fileTooLarge({ role, maxSize, size, rule })
}
