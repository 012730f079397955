import { z } from 'zod'

const document = z
  .record(z.string(), z.unknown())
  .describe(
    'default, roles, tenants and users, each with policy fields; sizes such as "10 GiB", times such as "7 days", null is no limit',
  )
// The largest Postgres `integer`.
const number = z
  .int()
  .min(1)
  .max(2 ** 31 - 1)
const note = z.string().max(500).nullable()

export const policyVersion = z.object({
  version: z.int(),
  author: z.string().describe('Who made the change'),
  note: note.describe('The note of the author'),
  createdAt: z.iso.datetime(),
  policies: document,
})

const removeRoles = z
  .boolean()
  .default(false)
  .describe('Whether to remove the roles that the document lacks; if false, such a document is refused')

const changeNote = z.object({
  note: note.default(null).describe('The reason for the change, shown in the history'),
  applyToActive: z
    .boolean()
    .default(false)
    .describe('Whether active uploads get the new limits too; if false, they keep theirs'),
})

/** A new document. Loose: it also takes the response of GET, and the bare document. */
export const changePolicies = z.looseObject({
  policies: document.optional().describe('The policies; if absent, the fields of the body are the document'),
  ...changeNote.shape,
  removeRoles,
})

export const mergePolicies = z.object({
  policies: document.describe('The fields to change; a role, tenant or user that is null is removed'),
  ...changeNote.shape,
})

export const restorePolicies = changeNote.extend({ removeRoles })

export const changedPolicies = policyVersion.extend({
  changedUploads: z.int().describe('How many active uploads got other limits'),
})

const difference = z.object({
  path: z.array(z.string()).describe('The path of the field, such as roles, member, maxSize'),
  before: z.unknown().optional().describe('The old value; absent: not set; null: no limit'),
  after: z.unknown().optional().describe('The new value; absent: not set; null: no limit'),
})

export const checkPolicies = z.object({ policies: document })

export const checkedPolicies = z.object({
  policies: document.nullable().describe('The policies in canonical form; null if they have problems'),
  problems: z.array(z.string()).describe('Path and reason of each problem'),
  version: z.int().describe('The active version'),
  differences: z.array(difference).describe('The fields that would change'),
  removedRoles: z.array(z.string()).describe('The roles that would be removed; their users could no longer upload'),
})

export const comparePolicies = z.object({
  from: number.describe('A version'),
  to: number.optional().describe('Another version; the active one if absent'),
})

export const comparedPolicies = z.object({ from: z.int(), to: z.int(), differences: z.array(difference) })

export const policyVersions = z.object({
  versions: z.array(policyVersion),
  next: z.int().nullable().describe('Pass it as `before` to get the next page; null on the last page'),
})

export const policyVersionsQuery = z.object({
  limit: z.int().min(1).max(100).default(20),
  before: number.optional().describe('Only versions below this one'),
})

export const byPolicyVersion = z.object({ version: number })

/** A policy document as JSON. */
export type PolicyJson = z.output<typeof document>
export type PolicyVersion = z.output<typeof policyVersion>
export type PolicyVersions = z.output<typeof policyVersions>
export type PolicyVersionsQuery = z.output<typeof policyVersionsQuery>
export type ByPolicyVersion = z.output<typeof byPolicyVersion>
/** The reason for a change, and what it applies to. */
export type ChangeNote = z.output<typeof changeNote>
export type ChangePolicies = ChangeNote & { policies?: PolicyJson | undefined; removeRoles: boolean }
export type MergePolicies = z.output<typeof mergePolicies>
export type RestorePolicies = z.output<typeof restorePolicies>
export type ChangedPolicies = z.output<typeof changedPolicies>
export type CheckPolicies = z.output<typeof checkPolicies>
export type CheckedPolicies = z.output<typeof checkedPolicies>
export type ComparePolicies = z.output<typeof comparePolicies>
/** A field in which two policy documents differ. */
export type Difference = z.output<typeof difference>
