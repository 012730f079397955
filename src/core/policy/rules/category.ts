import { UploadError } from '../../errors/error.ts'
import { categories, categoryOf } from '../policy.ts'
import type { Rule } from './rule.ts'

/** The category is a known one, is allowed to the role, and does not contradict the media type. */
export const categoryRule: Rule = ({ actor, creation, policy }) => {
  const category = categories.find((known) => known === creation.category)
  if (category === undefined) {
    throw new UploadError('CATEGORY_NOT_ALLOWED', `There is no such category; there are ${categories.join(', ')}.`)
  }
  const natural = categoryOf(creation.contentType)
  if (category !== natural && category !== 'other' && natural !== 'other') {
    throw new UploadError(
      'CATEGORY_NOT_ALLOWED',
      `A file of type ${creation.contentType} is not of category ${category}.`,
    )
  }
  if (policy.categories !== null && !policy.categories.includes(category)) {
    throw new UploadError('CATEGORY_NOT_ALLOWED', `A ${actor.role} may not send files of category ${category}.`, {
      rule: 'categories',
      category,
    })
  }
}
