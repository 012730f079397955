import type { FastifyInstance } from 'fastify'
import { tenantWithin } from '../../core/access/access.ts'
import { UploadError } from '../../core/errors/error.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import type { ApiKey, Keys } from './keys.ts'
import { type ById, type KeyFields, readCreateKey, schemas, viewOf } from './schemas.ts'

/** What was done with a key, by whom, from where. */
export interface KeyChange {
  what: 'key.created' | 'key.revoked'
  key: ApiKey
  by: string
  from: string
}

export interface KeysPluginOptions {
  keys: Keys
  now(): Date
  /** The roles that have a policy now. */
  roles(): string[]
  /** Told after every change. */
  onChange(change: KeyChange): void
}

/** `/v1/admin/keys`: make, list and revoke API keys, as an admin with a tenant only those of that tenant. Wants `request.actor`. */
export async function keysPlugin(
  app: FastifyInstance,
  { keys, now, roles, onChange }: KeysPluginOptions,
): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)

  app.post<{ Body: KeyFields }>('/admin/keys', { schema: schemas.create }, async ({ actor, body, ip }, reply) => {
    const createKey = readCreateKey(body, now())
    if (typeof createKey === 'string') throw new UploadError('INVALID_FIELD', `${createKey}.`)
    const known = roles()
    if (!known.includes(createKey.role))
      throw new UploadError('INVALID_FIELD', `There is no role ${createKey.role}; there are ${known.join(', ')}.`)
    const tenant = tenantWithin(actor, createKey.tenant) ?? null
    const { key, token } = await keys.create({ ...createKey, tenant }, actor.id, actor)
    onChange({ what: 'key.created', key, by: actor.id, from: ip })
    return reply.code(201).send({ ...viewOf(key), token })
  })

  app.get('/admin/keys', { schema: schemas.list }, async ({ actor }) => ({
    keys: (await keys.list(tenantWithin(actor))).map(viewOf),
  }))

  app.delete<{ Params: ById }>('/admin/keys/:id', { schema: schemas.revoke }, async ({ actor, params, ip }, reply) => {
    const key = await keys.revoke(params.id, actor.id, actor, tenantWithin(actor))
    if (!key) throw new UploadError('NOT_FOUND', 'There is no such key.')
    onChange({ what: 'key.revoked', key, by: actor.id, from: ip })
    return reply.code(204).send()
  })
}
