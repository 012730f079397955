import { errors } from '../../errors/errors.ts'
import { matchesMediaType } from '../categories.ts'
import { defineRule } from './rule.ts'

/** The policy must allow the media type. */
export const mediaTypeRule = defineRule({ mediaTypes: 'mediaTypes' }, ({ actor, creation, policy }) => {
  if (policy.mediaTypes === null || matchesMediaType(creation.contentType, policy.mediaTypes)) return
  throw errors.typeNotAllowed({ role: actor.role, contentType: creation.contentType, rule: 'mediaTypes' })
})
