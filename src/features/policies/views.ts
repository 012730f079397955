import { z } from 'zod'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { writePolicyDocument } from './schema.ts'
import type { PolicyVersion } from './versions.ts'

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

const version = z.object({
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
// Loose: it also takes the response of GET, and the bare document.
const change = z.looseObject({
  policies: document.optional().describe('The policies; if absent, the fields of the body are the document'),
  ...changeNote.shape,
  removeRoles,
})
const merge = z.object({
  policies: document.describe('The fields to change; a role, tenant or user that is null is removed'),
  ...changeNote.shape,
})
const changed = version.extend({ changedUploads: z.int().describe('How many active uploads got other limits') })
const difference = z.object({
  path: z.array(z.string()).describe('The path of the field, such as roles, member, maxSize'),
  before: z.unknown().optional().describe('The old value; absent: not set; null: no limit'),
  after: z.unknown().optional().describe('The new value; absent: not set; null: no limit'),
})
const checked = z.object({
  policies: document.nullable().describe('The policies in canonical form; null if they have problems'),
  problems: z.array(z.string()).describe('Path and reason of each problem'),
  version: z.int().describe('The active version'),
  differences: z.array(difference).describe('The fields that would change'),
  removedRoles: z.array(z.string()).describe('The roles that would be removed; their users could no longer upload'),
})
const between = z.object({
  from: number.describe('A version'),
  to: number.optional().describe('Another version; the active one if absent'),
})
const compared = z.object({ from: z.int(), to: z.int(), differences: z.array(difference) })
const restore = changeNote.extend({ removeRoles })
const page = z.object({
  versions: z.array(version),
  next: z.int().nullable().describe('Pass it as `before` to get the next page; null on the last page'),
})
const pageQuery = z.object({
  limit: z.int().min(1).max(100).default(20),
  before: number.optional().describe('Only versions below this one'),
})
const byVersion = z.object({ version: number })

export type VersionView = z.output<typeof version>
export type Change = z.output<typeof changeNote> & {
  policies?: Record<string, unknown> | undefined
  removeRoles: boolean
}
export type Merge = z.output<typeof merge>
export type CheckView = z.output<typeof checked>
export type Between = z.output<typeof between>
export type Restore = z.output<typeof restore>
export type PageQuery = z.output<typeof pageQuery>
export type ByVersion = z.output<typeof byVersion>

const tags = ['Policies']
const ifMatch = {
  type: 'object',
  properties: { 'if-match': { type: 'string', description: 'The ETag of the version to replace' } },
  required: ['if-match'],
}

/** The schemas of the policies' routes, as Fastify and OpenAPI read them. */
export const schemas = {
  current: {
    tags,
    summary: 'The active policies',
    response: { 200: jsonSchema(version, 'output'), ...errorAnswers },
  },
  change: {
    tags,
    summary: 'Replace the policies',
    headers: ifMatch,
    body: jsonSchema(change, 'input'),
    response: { 200: jsonSchema(changed, 'output'), ...errorAnswers },
  },
  merge: {
    tags,
    summary: 'Change some fields of the policies',
    headers: ifMatch,
    body: jsonSchema(merge, 'input'),
    response: { 200: jsonSchema(changed, 'output'), ...errorAnswers },
  },
  check: {
    tags,
    summary: 'Check policies without activating them: differences and problems',
    body: jsonSchema(z.object({ policies: document }), 'input'),
    response: { 200: jsonSchema(checked, 'output'), ...errorAnswers },
  },
  compare: {
    tags,
    summary: 'The differences between two versions of the policies',
    querystring: jsonSchema(between, 'input'),
    response: { 200: jsonSchema(compared, 'output'), ...errorAnswers },
  },
  list: {
    tags,
    summary: 'All versions of the policies, newest first',
    querystring: jsonSchema(pageQuery, 'input'),
    response: { 200: jsonSchema(page, 'output'), ...errorAnswers },
  },
  one: {
    tags,
    summary: 'One version of the policies',
    params: jsonSchema(byVersion, 'input'),
    response: { 200: jsonSchema(version, 'output'), ...errorAnswers },
  },
  restore: {
    tags,
    summary: 'Restore an older version as a new one',
    params: jsonSchema(byVersion, 'input'),
    headers: ifMatch,
    body: jsonSchema(restore, 'input'),
    response: { 200: jsonSchema(changed, 'output'), ...errorAnswers },
  },
}

/** A version as the API returns it. */
export function versionView({ version, document, author, note, createdAt }: PolicyVersion): VersionView {
  return { version, author, note, createdAt: createdAt.toISOString(), policies: writePolicyDocument(document) }
}
