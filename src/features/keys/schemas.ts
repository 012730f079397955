import { z } from 'zod'
import { scopes } from '../../core/upload.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { isName } from '../../http/identity/claims.ts'
import type { ApiKey, CreateKey } from './keys.ts'

const name = (what: string) => z.string().min(1).max(128).describe(what)

const fields = {
  name: name('A name by which admins recognize the key'),
  role: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .describe('The role whose limits apply to it'),
  user: name('The user the key acts for; null: a user of its own').nullable(),
  tenant: name('The tenant of that user').nullable(),
  scopes: z
    .array(z.enum(scopes))
    .min(1)
    .max(scopes.length)
    .describe(
      'upload: create uploads, send bytes, get the offset, complete; read: read and list uploads; cancel: cancel uploads; admin: this API, and all uploads',
    ),
  expiresAt: z.iso.datetime().nullable().describe('When it expires; at the latest with the key that created it'),
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
    prefix: z.string().describe('The first characters of the key, to recognize it'),
    createdAt: z.iso.datetime(),
    createdBy: z.string(),
    createdByKey: z.string().nullable().describe('The key that created it; it ends with that key'),
    revokedAt: z.iso.datetime().nullable(),
    revokedBy: z.string().nullable(),
    lastUsedAt: z.iso.datetime().nullable().describe('Accurate to a minute'),
  })
  .describe('An API key without its secret')

const created = key.extend({ token: z.string().describe('The key itself. It is never shown again') })
const list = z.object({ keys: z.array(key) })
const byId = z.object({ id: z.uuid() })

export type KeyFields = z.output<typeof createBody>
export type KeyView = z.output<typeof key>
export type ById = z.output<typeof byId>

const tags = ['Admin']
const keyErrors = { ...errorAnswers, 400: errorAnswers[404], 403: errorAnswers[404] }

/** The routes as Fastify and OpenAPI read them. */
export const schemas = {
  create: {
    tags,
    summary: 'Create an API key',
    body: jsonSchema(createBody, 'input'),
    response: { 201: jsonSchema(created, 'output'), ...keyErrors },
  },
  list: {
    tags,
    summary: 'The API keys, newest first',
    response: { 200: jsonSchema(list, 'output'), ...keyErrors },
  },
  revoke: {
    tags,
    summary: 'Revoke an API key',
    description:
      'Every server refuses the key, and every key created with it, within a second. Uploads created with it can no longer be completed with it; nothing is deleted.',
    params: jsonSchema(byId, 'input'),
    response: { 204: { type: 'null', description: 'The key is revoked' }, ...keyErrors },
  },
}

/** The key that a request body describes, or a sentence about what is wrong with it. */
export function readCreateKey(
  { name, role, user = null, tenant = null, scopes, expiresAt = null }: KeyFields,
  now: Date,
): CreateKey | string {
  if (![name, user, tenant].every((text) => text === null || isName(text)))
    return 'name, user and tenant must each have 1 to 128 printable characters'
  const end = expiresAt === null ? null : new Date(expiresAt)
  if (end && end <= now) return 'expiresAt must be in the future'
  return { name, role, user, tenant, scopes: [...new Set(scopes)], expiresAt: end }
}

/** A key as the API returns it. */
export function viewOf(key: ApiKey): KeyView {
  return {
    ...key,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  }
}
