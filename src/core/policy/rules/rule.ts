import type { Actor, CreateUpload } from '../../upload.ts'
import type { Fields, ValuesOf } from '../fields.ts'

/** What a rule checks when an upload is created. */
export interface RuleInput<Values> {
  actor: Actor
  creation: CreateUpload & { category: string }
  policy: Values
}

/** Throws an `UploadError` to refuse the upload. Pure. It reads no other field of the policy than `fields`. */
export interface Rule<Of extends Fields> {
  (input: RuleInput<ValuesOf<Of>>): void
  readonly fields: Of
}

/** A rule that reads `fields`. */
export function defineRule<const Of extends Fields>(
  fields: Of,
  check: (input: RuleInput<ValuesOf<Of>>) => void,
): Rule<Of> {
  return Object.assign(check, { fields })
}
