import { z } from 'zod'

const text = z.string().max(256).optional()

export const auditQuery = z.object({
  limit: z.int().min(1).max(500).default(100).describe('Entries per page'),
  before: z.int().optional().describe('The id of the last entry of the previous page'),
  actor: text.describe('Only entries of this user'),
  tenant: text,
  key: text.describe('Only entries of this API key'),
  upload: z.uuid().optional().describe('Only entries about this upload'),
  action: text.describe(
    'upload.create, upload.complete, upload.cancel, upload.expire, upload.fail, request.refuse, policy.change, …',
  ),
  allowed: z.boolean().optional(),
  code: text.describe('Only refused requests with this error code'),
  rule: text.describe('Only requests that this rule refused'),
  address: text.describe('Only requests from this address'),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
})

const auditEntry = z.object({
  id: z.int(),
  at: z.iso.datetime(),
  action: z.string(),
  allowed: z.boolean(),
  actor: z.string().nullable().describe('null: the server itself, or an unknown client'),
  role: z.string().nullable(),
  tenant: z.string().nullable(),
  key: z.string().nullable().describe('The API key that was used'),
  upload: z.string().nullable(),
  target: z.string().nullable().describe('What else the action changed: a version of the policies, an API key'),
  code: z.string().nullable(),
  rule: z.string().nullable().describe('The rule that refused the request'),
  address: z.string().nullable(),
  agent: z.string().nullable().describe('The User-Agent of the client'),
  times: z.int().describe('How often the same request was refused within a few seconds'),
  note: z.string().nullable(),
})

export const auditEntries = z.object({
  entries: z.array(auditEntry),
  next: z.int().nullable().describe('Pass it as `before` to get the next page; null on the last page'),
})

export type AuditQuery = z.output<typeof auditQuery>
export type AuditEntry = z.output<typeof auditEntry>
export type AuditEntries = z.output<typeof auditEntries>
