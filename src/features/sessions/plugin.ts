import type { FastifyInstance } from 'fastify'
import { notFound } from '../../core/access.ts'
import type { Engine } from '../../core/engine.ts'
import { checkId } from '../../core/session-view.ts'
import type { Database } from '../../db/open.ts'
import { adminOnly } from '../../http/admin.ts'
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
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  app.get('/summary', { schema: schemas.summary }, async (): Promise<Summary> => sumUp(database))

  app.get<{ Querystring: PageQuery }>('/uploads', { schema: schemas.list }, async ({ query }) => {
    // One more than asked for tells whether there is a next page.
    const found = await findSessions(database, { ...query, limit: query.limit + 1 })
    const uploads = found.slice(0, query.limit)
    return {
      uploads: uploads.map((session) => viewOfLine(session, objectUrlOf)),
      next: found.length > query.limit ? (uploads.at(-1)?.id ?? null) : null,
    }
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
