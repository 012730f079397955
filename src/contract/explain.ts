import { z } from 'zod'

/** A file that the client might upload. */
export const explainQuery = z.object({
  filename: z.string().max(1024).default('file'),
  contentType: z.string().max(255).default('application/octet-stream'),
  size: z.int().min(0).nullable().default(null).describe('Bytes; null if unknown'),
  category: z.string().max(64).optional().describe('Derived from the media type unless given'),
})

/** A file that any user might upload. */
export const explainUserQuery = explainQuery.extend({
  user: z.string().min(1).max(128),
  role: z.string().min(1).max(64),
  tenant: z.string().min(1).max(128).nullable().default(null),
})

const source = z.enum(['default', 'role', 'tenant', 'user'])

export const explanation = z.object({
  allowed: z.boolean(),
  decidedBy: z.string().nullable().describe('The rule that the client would see; null when the file is allowed'),
  why: z.string(),
  reasons: z
    .array(z.object({ rule: z.string(), code: z.string(), why: z.string(), from: source.nullable() }))
    .describe('Every rule that refuses the file, in the order in which rules are checked'),
  limits: z
    .record(z.string(), z.object({ value: z.unknown(), from: source }))
    .nullable()
    .describe(
      'The limits of the user, each with the section of the policies that sets it; null for a role without a policy',
    ),
})

export type ExplainQuery = z.output<typeof explainQuery>
export type ExplainUserQuery = z.output<typeof explainUserQuery>
export type Explanation = z.output<typeof explanation>
