import type { FastifyInstance } from 'fastify'
import { notFound } from '../../core/access.ts'
import type { Engine } from '../../core/engine.ts'
import { checkId } from '../../core/session-view.ts'
import type { Database } from '../../db/open.ts'
import { momentOf } from '../../http/api/moment.ts'
import { neverStored } from '../../http/api/never-stored.ts'
import { readPage } from '../../http/api/page.ts'
import { adminOnly } from '../../http/identity/admin.ts'
import { findSession, findSessions } from './find.ts'
import { type Summary, sumUp } from './summary.ts'
import { findTimeline } from './timeline.ts'
import { type ById, type OneView, type PageQuery, schemas, viewOfLine, viewOfOne } from './views.ts'

export interface SessionsOptions {
  database: Database
  engine: Pick<Engine, 'cancel' | 'finishNow' | 'expireNow'>
  /** Where browsers reach a finished object, if anywhere. */
  objectUrlOf(key: string): string | null
}

/** `/summary` and `/uploads`: everybody's uploads, for those who run the server: look, cancel, finish, expire. Wants `request.actor`. */
export async function sessionsPlugin(
  app: FastifyInstance,
  { database, engine, objectUrlOf }: SessionsOptions,
): Promise<void> {
  adminOnly(app)
  neverStored(app)

  app.get('/summary', { schema: schemas.summary }, async (): Promise<Summary> => sumUp(database))

  app.get<{ Querystring: PageQuery }>('/uploads', { schema: schemas.list }, async ({ query }) => {
    const when = { since: momentOf(query.since), until: momentOf(query.until) }
    const find = (limit: number) => findSessions(database, { ...query, ...when, limit })
    const { items, next } = await readPage(query.limit, find, ({ id }) => id)
    return { uploads: items.map((session) => viewOfLine(session, objectUrlOf)), next }
  })

  app.get<{ Params: ById }>('/uploads/:id', { schema: schemas.one }, async ({ params }) => one(params.id))

  app.post<{ Params: ById }>('/uploads/:id/cancel', { schema: schemas.cancel }, async ({ actor, params }) => {
    await engine.cancel(actor, params.id)
    return one(params.id)
  })

  app.post<{ Params: ById }>('/uploads/:id/finish', { schema: schemas.finish }, async ({ actor, params }) => {
    await engine.finishNow(actor, params.id)
    return one(params.id)
  })

  app.post<{ Params: ById }>('/uploads/:id/expire', { schema: schemas.expire }, async ({ actor, params }) => {
    await engine.expireNow(actor, params.id)
    return one(params.id)
  })

  async function one(id: string): Promise<OneView> {
    checkId(id)
    const session = await findSession(database, id)
    if (!session) throw notFound()
    return viewOfOne(session, await findTimeline(database, id), objectUrlOf)
  }
}
