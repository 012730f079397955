import { categoryRule } from './category.ts'
import { filenameRule, storedNameRule } from './filename.ts'
import { mediaTypeRule } from './media-type.ts'
import type { Rule } from './rule.ts'
import { sizeRule } from './size.ts'

/** The rules at creation, in order; the first refusal is the one the client reads. The role is checked before: without one there is no policy. */
export const creationRules: Rule[] = [filenameRule, mediaTypeRule, categoryRule, storedNameRule, sizeRule]

/** Those of them that ask again when the first bytes have said what the file is: the stored name follows it as well. */
export const contentRules: Rule[] = [mediaTypeRule, categoryRule, storedNameRule]
