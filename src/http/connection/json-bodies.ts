import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BodyGate, BodySlot } from '../../core/body/body-gate.ts'
import { receiveBody } from '../../core/body/receive-body.ts'
import { UploadError } from '../../core/errors/error.ts'
import type { MemoryBudget } from '../../core/memory/memory-budget.ts'
import { ownerKey } from '../../core/upload.ts'
import { actorIfKnown } from '../error-listeners.ts'
import { rateLimitKey } from '../identity/client-info.ts'
import { exceededLimit } from './json-shape.ts'

/** What the bodies of a server have in common: how many may flow, and the memory that they take. */
export interface BodyCapacity {
  gate: BodyGate
  budget: Pick<MemoryBudget, 'add' | 'release'>
}

export interface JsonBodyOptions {
  /** A body that brings nothing for so long is refused. 0: never. */
  idleMs: number
  /** A body must be whole within this. A few kilobytes must come at once, however evenly they drip. */
  totalMs?: number
  /** Not given: bodies are counted nowhere. */
  capacity?: BodyCapacity | undefined
}

const maxMs = 10_000
const maxDepth = 32
// Of a member there are a name, a value and their quotes: a smaller one says nothing.
const bytesAValue = 4
const maxValues = 100_000

/** What a hook before the parser found out about the body of a request: bytes. */
const narrower = new WeakMap<FastifyRequest, number>()

/** Lets the body of `request` have at most `bytes`, whatever its route says. For hooks that run before bodies are read. */
export function limitBody(request: FastifyRequest, bytes: number): void {
  narrower.set(request, bytes)
}

/**
 * Reads JSON bodies in `app`, up to what `limitBody` or the route's `bodyLimit` says. Fastify's own parser waits for a stalled
 * body for as long as the server lets a request run, which is for ever here because uploads may. An empty body is `undefined`.
 * @throws UploadError INVALID_REQUEST, FILE_TOO_LARGE, BODY_TIMEOUT, OVERLOADED
 */
export function readJsonBodies(app: FastifyInstance, { idleMs, totalMs = maxMs, capacity }: JsonBodyOptions): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', (request, payload, done) => {
    const limit = narrower.get(request) ?? request.routeOptions.bodyLimit
    const tooLarge = () =>
      done(new UploadError('FILE_TOO_LARGE', `The request body is too large: it may have ${limit} bytes here.`))
    if (Number(request.headers['content-length'] ?? 0) > limit) return tooLarge()
    let place: BodySlot
    try {
      place = reserveCapacity(request, capacity)
    } catch (error) {
      return done(error as UploadError)
    }
    const chunks: Buffer[] = []
    const reading = receiveBody(payload, {
      limit,
      idleMs,
      minSpeed: 0,
      totalMs,
      signal: place.signal,
      slot: place,
      take(bytes) {
        chunks.push(bytes)
        return null
      },
    })
    void reading.then((end) => {
      place.leave()
      if (end === 'overflow') return tooLarge()
      if (end === 'stopped') return done(place.signal.reason as UploadError)
      if (end === 'idle') return done(new UploadError('BODY_TIMEOUT', 'The request body did not arrive in time.'))
      if (end !== 'clean') return done(new UploadError('INVALID_REQUEST', 'The request body did not arrive whole.'))
      const bytes = Buffer.concat(chunks)
      const values = Math.min(maxValues, Math.ceil(limit / bytesAValue))
      const excess = exceededLimit(bytes, { depth: maxDepth, values })
      if (excess === 'depth')
        return done(new UploadError('INVALID_REQUEST', `The request body nests more than ${maxDepth} levels.`))
      if (excess) return done(new UploadError('INVALID_REQUEST', `The request body has more than ${values} values.`))
      const text = decode(bytes)
      if (text === null) return done(new UploadError('INVALID_REQUEST', 'The request body is not valid UTF-8.'))
      return text.trim() === '' ? done(null, undefined) : parse(request, text, done)
    })
  })
}

/** Counts the body among all that flow, and its bytes in the memory that they take. @throws UploadError OVERLOADED */
function reserveCapacity(request: FastifyRequest, room: BodyCapacity | undefined): BodySlot {
  if (!room) return { signal: new AbortController().signal, received() {}, leave() {} }
  const { gate, budget } = room
  const actor = actorIfKnown(request)
  const slot = gate.enter({ user: actor ? ownerKey(actor) : `at ${request.ip}`, network: rateLimitKey(request) })
  let held = 0
  return {
    signal: slot.signal,
    received(bytes) {
      held += bytes
      budget.add(bytes)
      slot.received(bytes)
    },
    leave() {
      budget.release(held)
      held = 0
      slot.leave()
    },
  }
}

function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}
