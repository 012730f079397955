import { z } from 'zod'
import { scopes } from '../../core/upload.ts'
import { jsonSchema, errorAnswers as usual } from '../../http/api/json-schema.ts'
import { isName } from '../../http/identity/claims.ts'
import type { ApiKey, CreateKey } from './keys.ts'

const name = (what: string) => z.string().min(1).max(128).describe(what)

const fields = {
  name: name('What people call it'),
  role: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .describe('Whose limits it has'),
  user: name('Whose uploads it sends and sees; null: a user of its own').nullable(),
  tenant: name('The tenant of that user').nullable(),
  scopes: z
    .array(z.enum(scopes))
    .min(1)
    .max(scopes.length)
    .describe(
      'upload: begin, send, ask how far, complete; read: look and list; cancel; admin: this API, and all uploads',
    ),
  expiresAt: z.iso
    .datetime()
    .nullable()
    .describe('When it ends by itself; no later than the key with which it is made'),
}

const createBody = z.object({
  ...fields,
  user: fields.user.optional(),
  tenant: fields.tenant.optional(),
  expiresAt: fields.expiresAt.optional(),
})

const key = z
  .object({
    id: z.string(),
    ...fields,
    prefix: z.string().describe('How the key begins, to recognize it'),
    createdAt: z.iso.datetime(),
    createdBy: z.string(),
    createdByKey: z.string().nullable().describe('The key with which it was made, and with which it ends'),
    revokedAt: z.iso.datetime().nullable(),
    revokedBy: z.string().nullable(),
    lastUsedAt: z.iso.datetime().nullable().describe('To the minute'),
  })
  .describe('An API key, without what makes it one')

const created = key.extend({ token: z.string().describe('The key itself. It is told here and never again') })
const list = z.object({ keys: z.array(key) })
const byId = z.object({ id: z.uuid() })

export type KeyFields = z.output<typeof createBody>
export type KeyView = z.output<typeof key>
export type ById = z.output<typeof byId>

const tags = ['Admin']
const errorAnswers2 = { ...usual, 400: usual[404], 403: usual[404] }

/** The routes as Fastify and OpenAPI read them. */
export const schemas = {
  create: {
    tags,
    summary: 'Make an API key',
    body: jsonSchema(createBody, 'input'),
    response: { 201: jsonSchema(created, 'output'), ...errorAnswers2 },
  },
  list: {
    tags,
    summary: 'The API keys, newest first',
    response: { 200: jsonSchema(list, 'output'), ...errorAnswers2 },
  },
  revoke: {
    tags,
    summary: 'Revoke an API key',
    description:
      'Every server refuses it within a second, and every key that was made with it. What it has begun can no longer be completed with it; nothing is deleted.',
    params: jsonSchema(byId, 'input'),
    response: { 204: { type: 'null', description: 'It is good for nothing any more' }, ...errorAnswers2 },
  },
}

/** What a body wishes for; a text about what is wrong with it. */
export function readCreateKey(
  { name, role, user = null, tenant = null, scopes, expiresAt = null }: KeyFields,
  now: Date,
): CreateKey | string {
  if (![name, user, tenant].every((text) => text === null || isName(text)))
    return 'A name, a user and a tenant are 1 to 128 printable characters'
  const end = expiresAt === null ? null : new Date(expiresAt)
  if (end && end <= now) return 'A key cannot have expired before it is made'
  return { name, role, user, tenant, scopes: [...new Set(scopes)], expiresAt: end }
}

/** A key as the API shows it. */
export function viewOf(key: ApiKey): KeyView {
  return {
    ...key,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  }
}
