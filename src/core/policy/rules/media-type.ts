import { errors } from '../../errors/errors.ts'
import { matchesMediaType } from '../policy.ts'
import type { Rule } from './rule.ts'

/** The policy must allow the media type. */
export const mediaTypeRule: Rule = ({ actor, creation, policy }) => {
  if (policy.mediaTypes === null || matchesMediaType(creation.contentType, policy.mediaTypes)) return
  throw errors.typeNotAllowed({ role: actor.role, contentType: creation.contentType, rule: 'mediaTypes' })
}
