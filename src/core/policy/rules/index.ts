import { categoryRule } from './category.ts'
import { filenameRule, storedNameRule } from './filename.ts'
import { mediaTypeRule } from './media-type.ts'
import { sizeRule } from './size.ts'

/** The rules at creation, in order; the client gets the first error. The role is checked before them, because it decides the policy. */
export const creationRules = [filenameRule, mediaTypeRule, categoryRule, storedNameRule, sizeRule]

/** The rules that are checked again once the first bytes have shown the media type, which also decides the extension of the stored name. */
export const contentRules = [mediaTypeRule, categoryRule, storedNameRule]
