import { PassThrough } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import {
  type Authorizer,
  administers,
  authorizeCollection,
  isOwner,
  type Owner,
  ownerOfActor,
} from '../../core/access/access.ts'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import type { Feed, LiveEvent } from './feed.ts'

export interface EventsOptions {
  feed: Feed
  /** Asked whether somebody may `list`: who listens is told the same. */
  authorizer: Authorizer
  /** Streams that one user, and all of them together, may have open on this node. */
  maxStreams?: { ofUser: number; inAll: number }
  heartbeatMs?: number
}

interface Query {
  Querystring: { all?: string }
}

const resumed = 1000
// Who reads so slowly that this much waits for them is told to come back.
const maxUnread = 256 * 1024

/**
 * `GET /events`: what happens to one's own uploads, as Server-Sent Events, for as long as one listens; with `?all=true` what happens
 * to all that an administrator administers. `Last-Event-ID` goes on where the last connection broke.
 */
export async function eventsPlugin(app: FastifyInstance, options: EventsOptions): Promise<void> {
  const { feed, authorizer, maxStreams = { ofUser: 5, inAll: 1000 }, heartbeatMs = 15_000 } = options
  const open = new Map<PassThrough, Owner>()

  // A stream never ends by itself, and the server would wait for it.
  app.addHook('preClose', async () => {
    for (const stream of open.keys()) stream.end()
  })

  app.get<Query>('/events', { schema }, async (request, reply) => {
    const { actor, query, headers, raw } = request
    authorizeCollection(actor, 'list')
    const isForAll = query.all === 'true'
    if (isForAll && !actor.isAdmin) throw new UploadError('FORBIDDEN', 'You may listen to your own uploads only.')
    const reach = actor.tenant === null ? null : { tenant: actor.tenant }
    await authorizer({ actor, action: 'list' })
    const mine = [...open.values()].filter((other) => isOwner(actor, other)).length
    if (mine >= maxStreams.ofUser || open.size >= maxStreams.inAll)
      throw new UploadError('RATE_LIMITED', 'Too many connections listen already.', { retryAfter: 30 })

    const stream = new PassThrough()
    open.set(stream, ownerOfActor(actor))
    const told = new Set<number>()
    let isReady = false
    const early: LiveEvent[] = []
    const tell = (event: LiveEvent) => {
      if (!(isForAll ? administers(actor, event.tenant) : isOwner(actor, event)) || told.has(event.id)) return
      if (stream.writableLength > maxUnread) stream.end()
      else if (!stream.writableEnded) stream.write(print(event))
    }

    let leave = () => {}
    // A stream outlives tokens: who came with one that is good no longer, or speaks for somebody else now, is told nothing more.
    const askAgain = async () => {
      const now = await request.authenticateAgain()
      await authorizer({ actor: now, action: 'list' })
      return now
    }
    const lookAgain = async () => {
      const now = await askAgain().catch((error: unknown) =>
        isUploadError(error) && error.status < 500 ? null : actor,
      )
      if (!now || !isOwner(now, ownerOfActor(actor)) || (isForAll && !now.isAdmin)) stream.end()
      else if (stream.writable) stream.write(': still here\n\n')
    }
    const heartbeat = setInterval(() => void lookAgain(), heartbeatMs)
    const end = () => {
      clearInterval(heartbeat)
      leave()
      open.delete(stream)
      stream.destroy()
    }
    stream.on('close', end)
    raw.on('close', end)
    try {
      // What happens while the past is read is told after it.
      leave = await feed.subscribe((event) => (isReady ? tell(event) : early.push(event)))
      stream.write('retry: 3000\n\n')
      const last = lastSeen(headers['last-event-id'])
      const past = last === null ? [] : await feed.since(last, isForAll ? reach : ownerOfActor(actor), resumed)
      for (const event of past) {
        tell(event)
        told.add(event.id)
      }
      // There may be more, and what is new must not be told before it: the client comes back for the rest.
      if (past.length === resumed) stream.end()
      for (const event of early) tell(event)
      isReady = true
    } catch (error) {
      end()
      throw error
    }
    if (stream.destroyed) leave()
    return (
      reply
        .type('text/event-stream')
        .header('cache-control', 'no-store')
        // Or nginx would keep it until there is enough.
        .header('x-accel-buffering', 'no')
        .send(stream)
    )
  })
}

function lastSeen(header: string | string[] | undefined): number | null {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : null
}

function print({ id, type, uploadId, at, ownerId, tenant, data }: LiveEvent): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify({ uploadId, at, ownerId, tenant, ...data })}\n\n`
}

const schema = {
  tags: ['Uploads'],
  summary: 'What happens to uploads, as Server-Sent Events',
  querystring: {
    type: 'object',
    properties: {
      all: {
        type: 'string',
        description: '`true`: of all uploads, for administrators; those of a tenant are told of its uploads',
      },
    },
  },
  response: { 200: { type: 'string', description: 'A stream of text/event-stream' } },
}
