import { z } from 'zod'
import { scopes } from './scopes.ts'

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
      'upload: create uploads, send bytes, get the offset, complete; read: read and list uploads, download files and link to them; cancel: cancel uploads; admin: this API, and all uploads',
    ),
  expiresAt: z.iso.datetime().nullable().describe('When it expires; at the latest with the key that created it'),
}

export const createKey = z.object({
  ...fields,
  user: fields.user.optional(),
  tenant: fields.tenant.optional(),
  expiresAt: fields.expiresAt.optional(),
})

const apiKey = z
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

export const createdKey = apiKey.extend({ token: z.string().describe('The key itself. It is never shown again') })
export const apiKeys = z.object({ keys: z.array(apiKey) })
export const byKeyId = z.object({ id: z.uuid() })

export type CreateKey = z.output<typeof createKey>
export type ApiKey = z.output<typeof apiKey>
export type CreatedKey = z.output<typeof createdKey>
export type ApiKeys = z.output<typeof apiKeys>
export type ByKeyId = z.output<typeof byKeyId>
