import type { FastifyInstance } from 'fastify'
import type { AnyUploads, AnyUploadsQuery, OneUpload, Summary } from '../../contract/admin-uploads.ts'
import type { ByUploadId } from '../../contract/upload.ts'
import { tenantWithin } from '../../core/access/access.ts'
import type { Engine } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'
import { assertId } from '../../core/upload-state.ts'
import type { Database } from '../../db/open.ts'
import { bytes } from '../../http/api/error-codes.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { parseTime } from '../../http/api/time.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { findUploadDetails, findUploadLines } from './find.ts'
import { summarize } from './summary.ts'
import { findTimeline } from './timeline.ts'
import { schemas, viewOfLine, viewOfOne } from './views.ts'

export interface AdminUploadsOptions {
  database: Database
  engine: Pick<Engine, 'cancel' | 'completeAsAdmin' | 'expireAsAdmin'>
  /** The URL at which browsers reach a completed object; `null` when there is none. */
  objectUrlOf(key: string): string | null
}

/**
 * `/summary` and `/uploads`: list, read, cancel, complete and expire the uploads of all owners; an admin with a tenant sees those of
 * that tenant. Needs `request.actor`.
 */
export async function adminUploadsPlugin(
  app: FastifyInstance,
  { database, engine, objectUrlOf }: AdminUploadsOptions,
): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)

  app.get(
    '/summary',
    { schema: schemas.summary },
    async ({ actor }): Promise<Summary> => summarize(database, tenantWithin(actor)),
  )

  app.get<{ Querystring: AnyUploadsQuery }>(
    '/uploads',
    { schema: schemas.list },
    async ({ actor, query }): Promise<AnyUploads> => {
      const tenant = tenantWithin(actor, query.tenant)
      const when = { since: parseTime(query.since), until: parseTime(query.until) }
      const find = (limit: number) => findUploadLines(database, { ...query, ...when, tenant, limit })
      const { items, next } = await readPage(query.limit, find, ({ id }) => id)
      return { uploads: items.map((upload) => viewOfLine(upload, objectUrlOf)), next }
    },
  )

  app.get<{ Params: ByUploadId }>('/uploads/:id', { schema: schemas.one }, async ({ actor, params }) =>
    one(actor, params.id),
  )

  app.post<{ Params: ByUploadId }>('/uploads/:id/cancel', { schema: schemas.cancel }, async ({ actor, params }) => {
    await engine.cancel(actor, params.id)
    return one(actor, params.id)
  })

  app.post<{ Params: ByUploadId }>(
    '/uploads/:id/finish',
    { schema: schemas.finish, config: { errors: bytes } },
    async ({ actor, params }) => {
      await engine.completeAsAdmin(actor, params.id)
      return one(actor, params.id)
    },
  )

  app.post<{ Params: ByUploadId }>('/uploads/:id/expire', { schema: schemas.expire }, async ({ actor, params }) => {
    await engine.expireAsAdmin(actor, params.id)
    return one(actor, params.id)
  })

  async function one(actor: Actor, id: string): Promise<OneUpload> {
    assertId(id)
    const tenant = tenantWithin(actor)
    const upload = await findUploadDetails(database, id, tenant)
    if (!upload) throw errors.uploadNotFound()
    return viewOfOne(upload, await findTimeline(database, id, tenant), objectUrlOf)
  }
}
