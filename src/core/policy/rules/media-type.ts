import { UploadError } from '../../errors/error.ts'
import { matchesMediaType } from '../policy.ts'
import type { Rule } from './rule.ts'

/** A role sends only the media types of its policy. */
export const mediaTypeRule: Rule = ({ actor, creation, policy }) => {
  if (policy.mediaTypes === null || matchesMediaType(creation.contentType, policy.mediaTypes)) return
  throw new UploadError('TYPE_NOT_ALLOWED', `A ${actor.role} may not send files of type ${creation.contentType}.`, {
    rule: 'mediaTypes',
    contentType: creation.contentType,
  })
}
