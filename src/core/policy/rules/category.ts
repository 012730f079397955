import { errors } from '../../errors/errors.ts'
import { categories, categoryOf } from '../categories.ts'
import { defineRule } from './rule.ts'

/** The category must exist, be allowed to the role, and not contradict the media type. */
export const categoryRule = defineRule({ categories: 'categories' }, ({ actor, creation, policy }) => {
  const category = categories.find((known) => known === creation.category)
  if (category === undefined) {
    throw errors.noSuchCategory({ known: categories.join(', ') })
  }
  const ofType = categoryOf(creation.contentType)
  if (category !== ofType && category !== 'other' && ofType !== 'other') {
    throw errors.categoryContradictsType({ contentType: creation.contentType, category })
  }
  if (policy.categories !== null && !policy.categories.includes(category)) {
    throw errors.categoryNotAllowed({ role: actor.role, category, rule: 'categories' })
  }
})
