import { PassThrough } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { administers, authorizeCollection, isOwner, ownerOfActor } from '../../core/access/access.ts'
import type { Authorizer } from '../../core/access/authorization.ts'
import { isUploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import { createFairShare } from '../../core/fair-share.ts'
import { ownerKey } from '../../core/upload.ts'
import type { Feed, LiveEvent } from './feed.ts'

export interface EventsOptions {
  feed: Feed
  /** Asked whether the actor may `list`, which shows the same uploads. */
  authorizer: Authorizer
  /** Streams that one user, and all users together, may have open on this server. */
  maxStreams?: { ofUser: number; inAll: number }
  heartbeatMs?: number
}

interface Query {
  Querystring: { all?: string }
}

const maxReplayed = 1000
// The stream of a client that leaves more unread is ended; the client reconnects and resumes.
const maxUnread = 256 * 1024

/**
 * `GET /events`: the events of the client's own uploads as Server-Sent Events; with `?all=true`, for administrators, those of all
 * uploads that they administer. `Last-Event-ID` resumes where the last connection broke.
 */
export async function eventsPlugin(app: FastifyInstance, options: EventsOptions): Promise<void> {
  const { feed, authorizer, maxStreams = { ofUser: 5, inAll: 1000 }, heartbeatMs = 15_000 } = options
  const share = createFairShare(maxStreams.inAll, maxStreams.ofUser)
  const open = new Set<PassThrough>()

  // A stream never ends by itself, and closing the server waits for it.
  app.addHook('preClose', async () => {
    for (const stream of open) stream.end()
  })

  app.get<Query>('/events', { schema, config: { actions: ['list'] } }, async (request, reply) => {
    const { actor, query, headers, raw } = request
    authorizeCollection(actor, 'list')
    const isForAll = query.all === 'true'
    if (isForAll && !actor.isAdmin) throw errors.eventsOfOthers()
    const reach = actor.tenant === null ? null : { tenant: actor.tenant }
    await authorizer({ actor, action: 'list' })
    const release = share.take(ownerKey(actor))
    if (!release) throw errors.tooManyStreams({ retryAfter: 30 })

    const stream = new PassThrough()
    open.add(stream)
    const delivered = new Set<number>()
    let isReady = false
    const early: LiveEvent[] = []
    const deliver = (event: LiveEvent) => {
      if (!(isForAll ? administers(actor, event.tenant) : isOwner(actor, event)) || delivered.has(event.id)) return
      if (stream.writableLength > maxUnread) stream.end()
      else if (!stream.writableEnded) stream.write(print(event))
    }

    let unsubscribe = () => {}
    // A stream outlives its token: it is ended when the token is no longer valid or names another user.
    const authorizeAgain = async () => {
      const now = await request.authenticateAgain()
      await authorizer({ actor: now, action: 'list' })
      return now
    }
    const revalidate = async () => {
      const now = await authorizeAgain().catch((error: unknown) =>
        isUploadError(error) && error.status < 500 ? null : actor,
      )
      if (!now || !isOwner(now, ownerOfActor(actor)) || (isForAll && !now.isAdmin)) stream.end()
      else if (stream.writable) stream.write(': heartbeat\n\n')
    }
    const heartbeat = setInterval(() => void revalidate(), heartbeatMs)
    const end = () => {
      clearInterval(heartbeat)
      unsubscribe()
      open.delete(stream)
      release()
      stream.destroy()
    }
    stream.on('close', end)
    raw.on('close', end)
    try {
      // Events that arrive during the replay are delivered after it.
      unsubscribe = await feed.subscribe((event) => (isReady ? deliver(event) : early.push(event)))
      stream.write('retry: 3000\n\n')
      const last = lastEventId(headers['last-event-id'])
      const past = last === null ? [] : await feed.since(last, isForAll ? reach : ownerOfActor(actor), maxReplayed)
      for (const event of past) {
        deliver(event)
        delivered.add(event.id)
      }
      // There may be more, which must precede new events: the client reconnects for the rest.
      if (past.length === maxReplayed) stream.end()
      for (const event of early) deliver(event)
      isReady = true
    } catch (error) {
      end()
      throw error
    }
    if (stream.destroyed) unsubscribe()
    return (
      reply
        .type('text/event-stream')
        .header('cache-control', 'no-store')
        // nginx would otherwise buffer the stream.
        .header('x-accel-buffering', 'no')
        .send(stream)
    )
  })
}

function lastEventId(header: string | string[] | undefined): number | null {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : null
}

function print({ id, type, uploadId, at, ownerId, tenant, data }: LiveEvent): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify({ uploadId, at, ownerId, tenant, ...data })}\n\n`
}

const schema = {
  tags: ['Uploads'],
  summary: 'Events of uploads, as Server-Sent Events',
  querystring: {
    type: 'object',
    properties: {
      all: {
        type: 'string',
        description:
          '`true`: the events of all uploads, for administrators; those of a tenant get the events of its uploads',
      },
    },
  },
  response: { 200: { type: 'string', description: 'A stream of text/event-stream' } },
}
