import {
  type ApiKey as ApiKeyView,
  apiKeys,
  byKeyId,
  type CreateKey as CreateKeyBody,
  createdKey,
  createKey,
} from '../../contract/keys.ts'
import { isName } from '../../contract/names.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import type { ApiKey, CreateKey } from './keys.ts'

const tags = ['Admin']

/** The routes as Fastify and OpenAPI read them. */
export const schemas = {
  create: {
    tags,
    summary: 'Create an API key',
    body: jsonSchema(createKey, 'input'),
    response: { 201: jsonSchema(createdKey, 'output') },
  },
  list: {
    tags,
    summary: 'The API keys, newest first',
    response: { 200: jsonSchema(apiKeys, 'output') },
  },
  revoke: {
    tags,
    summary: 'Revoke an API key',
    description:
      'Every server refuses the key, and every key created with it, within a second. Uploads created with it can no longer be completed with it; nothing is deleted.',
    params: jsonSchema(byKeyId, 'input'),
    response: { 204: { type: 'null', description: 'The key is revoked' } },
  },
}

/** The key that a request body describes, or a sentence about what is wrong with it. */
export function readCreateKey(
  { name, role, user = null, tenant = null, scopes, expiresAt = null }: CreateKeyBody,
  now: Date,
): CreateKey | string {
  if (![name, user, tenant].every((text) => text === null || isName(text)))
    return 'name, user and tenant must each have 1 to 128 printable characters'
  const end = expiresAt === null ? null : new Date(expiresAt)
  if (end && end <= now) return 'expiresAt must be in the future'
  return { name, role, user, tenant, scopes: [...new Set(scopes)], expiresAt: end }
}

/** A key as the API returns it. */
export function viewOf(key: ApiKey): ApiKeyView {
  return {
    ...key,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  }
}
