import { UploadError } from '../errors.ts'
import { matchesMediaType } from '../policy/policy.ts'
import type { Rule } from './rule.ts'

/** A role sends only the media types of its policy. */
export const mediaTypeRule: Rule = ({ actor, wish, policy }) => {
  if (policy.mediaTypes === null || matchesMediaType(wish.contentType, policy.mediaTypes)) return
  throw new UploadError('TYPE_NOT_ALLOWED', `A ${actor.role} may not send files of type ${wish.contentType}.`, {
    rule: 'mediaTypes',
    contentType: wish.contentType,
  })
}
