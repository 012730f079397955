import type { FastifyInstance } from 'fastify'
import type { ApiKeys, ByKeyId, CreatedKey, CreateKey } from '../../contract/keys.ts'
import { tenantWithin } from '../../core/access/access.ts'
import { errors } from '../../core/errors/errors.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import type { ApiKey, Keys } from './keys.ts'
import { readCreateKey, schemas, viewOf } from './schemas.ts'

/** A change of a key, for the log. */
export interface KeyChange {
  event: 'key.created' | 'key.revoked'
  key: ApiKey
  by: string
  from: string
}

export interface KeysPluginOptions {
  keys: Keys
  now(): Date
  /** The roles that the active policies name. */
  roles(): string[]
  /** Called after every change. */
  onChange(change: KeyChange): void
}

/** `/keys`, for administrators: create, list and revoke API keys; an admin with a tenant reaches those of that tenant only. Needs `request.actor`. */
export async function keysPlugin(
  app: FastifyInstance,
  { keys, now, roles, onChange }: KeysPluginOptions,
): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)

  app.post<{ Body: CreateKey }>('/keys', { schema: schemas.create }, async ({ actor, body, ip }, reply) => {
    const createKey = readCreateKey(body, now())
    if (typeof createKey === 'string') throw errors.keyInvalid({ reason: createKey })
    const known = roles()
    if (!known.includes(createKey.role)) throw errors.unknownRole({ role: createKey.role, known: known.join(', ') })
    const tenant = tenantWithin(actor, createKey.tenant) ?? null
    const { key, token } = await keys.create({ ...createKey, tenant }, actor.id, actor)
    onChange({ event: 'key.created', key, by: actor.id, from: ip })
    return reply.code(201).send({ ...viewOf(key), token } satisfies CreatedKey)
  })

  app.get(
    '/keys',
    { schema: schemas.list },
    async ({ actor }): Promise<ApiKeys> => ({
      keys: (await keys.list(tenantWithin(actor))).map(viewOf),
    }),
  )

  app.delete<{ Params: ByKeyId }>('/keys/:id', { schema: schemas.revoke }, async ({ actor, params, ip }, reply) => {
    const key = await keys.revoke(params.id, actor.id, actor, tenantWithin(actor))
    if (!key) throw errors.keyNotFound()
    onChange({ event: 'key.revoked', key, by: actor.id, from: ip })
    return reply.code(204).send()
  })
}
