import { z } from 'zod'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { writePolicyDocument } from './schema.ts'
import type { PolicyVersion } from './versions.ts'

const document = z
  .record(z.string(), z.unknown())
  .describe(
    'default, roles, tenants and users, each with the fields of a policy; sizes such as "10 GiB", times such as "7 days", null is no limit',
  )
// No more than the database counts to.
const number = z
  .int()
  .min(1)
  .max(2 ** 31 - 1)
const note = z.string().max(500).nullable()

const version = z.object({
  version: z.int(),
  author: z.string().describe('Who wrote it'),
  note: note.describe('What they said about it'),
  createdAt: z.iso.datetime(),
  policies: document,
})
const removeRoles = z
  .boolean()
  .default(false)
  .describe('Roles that the document does not name are removed; without it such a document is refused')
const changeNote = z.object({
  note: note.default(null).describe('Why, for those who read the history'),
  applyToRunning: z
    .boolean()
    .default(false)
    .describe('Uploads that run keep the limits they were told, unless this is true'),
})
// Also what GET answers, and the document alone.
const change = z.looseObject({
  policies: document.optional().describe('The policies; not given: the fields of this body are the document itself'),
  ...changeNote.shape,
  removeRoles,
})
const merge = z.object({
  policies: document.describe('What differs, field by field; a role, tenant or user that is null is removed'),
  ...changeNote.shape,
})
const changed = version.extend({ running: z.int().describe('How many running uploads were given other limits') })
const difference = z.object({
  path: z.array(z.string()).describe('Where, such as roles, member, maxSize'),
  before: z.unknown().optional().describe('What was said there; absent: nothing; null: no limit'),
  after: z.unknown().optional().describe('What is said there; absent: nothing; null: no limit'),
})
const checked = z.object({
  policies: document.nullable().describe('As they would be written; null when something is wrong with them'),
  problems: z.array(z.string()).describe('Where and why, every one of them'),
  version: z.int().describe('The version that holds now'),
  differences: z.array(difference).describe('What would change'),
  removedRoles: z.array(z.string()).describe('The roles that would be removed: their users could no longer upload'),
})
const between = z.object({
  from: number.describe('A version'),
  to: number.optional().describe('Another one; not given: the one that holds now'),
})
const compared = z.object({ from: z.int(), to: z.int(), differences: z.array(difference) })
const restore = changeNote.extend({ removeRoles })
const page = z.object({
  versions: z.array(version),
  next: z.int().nullable().describe('Give it as `before` to get the next page; null on the last one'),
})
const pageQuery = z.object({
  limit: z.int().min(1).max(100).default(20),
  before: number.optional().describe('Versions below this one'),
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
  properties: { 'if-match': { type: 'string', description: 'The version that is to be replaced, as ETag said it' } },
  required: ['if-match'],
}

/** The schemas of the policies' routes, as Fastify and OpenAPI read them. */
export const schemas = {
  current: {
    tags,
    summary: 'The policies that hold now',
    response: { 200: jsonSchema(version, 'output'), ...errorAnswers },
  },
  change: {
    tags,
    summary: 'Put other policies in their place',
    headers: ifMatch,
    body: jsonSchema(change, 'input'),
    response: { 200: jsonSchema(changed, 'output'), ...errorAnswers },
  },
  merge: {
    tags,
    summary: 'Change some of the policies, and leave the others as they are',
    headers: ifMatch,
    body: jsonSchema(merge, 'input'),
    response: { 200: jsonSchema(changed, 'output'), ...errorAnswers },
  },
  check: {
    tags,
    summary: 'Read policies without using them: what would change, or what is wrong with them',
    body: jsonSchema(z.object({ policies: document }), 'input'),
    response: { 200: jsonSchema(checked, 'output'), ...errorAnswers },
  },
  compare: {
    tags,
    summary: 'What two versions of the policies say differently',
    querystring: jsonSchema(between, 'input'),
    response: { 200: jsonSchema(compared, 'output'), ...errorAnswers },
  },
  list: {
    tags,
    summary: 'All versions of the policies, the newest first',
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
    summary: 'Make an older version the newest one again',
    params: jsonSchema(byVersion, 'input'),
    headers: ifMatch,
    body: jsonSchema(restore, 'input'),
    response: { 200: jsonSchema(changed, 'output'), ...errorAnswers },
  },
}

/** A version as the API tells it. */
export function versionView({ version, document, author, note, createdAt }: PolicyVersion): VersionView {
  return { version, author, note, createdAt: createdAt.toISOString(), policies: writePolicyDocument(document) }
}
