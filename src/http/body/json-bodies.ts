import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BodyGate, BodySlot } from '../../core/body/body-gate.ts'
import { receiveBody } from '../../core/body/receive-body.ts'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { MemoryBudget } from '../../core/memory/memory-budget.ts'
import { ownerKey } from '../../core/upload.ts'
import { actorIfKnown } from '../error-listeners.ts'
import { rateLimitKey } from '../identity/client-info.ts'
import { exceededLimit } from './json-shape.ts'

/** What all bodies of a server share: the limit of bodies at once, and the memory budget. */
export interface BodyCapacity {
  gate: BodyGate
  budget: Pick<MemoryBudget, 'add' | 'release'>
}

export interface JsonBodyOptions {
  /** A body that brings no byte for this long is refused. 0: never. */
  idleMs: number
  /** A body must be complete within this time, even if bytes keep arriving, because JSON bodies are small. */
  totalMs?: number
  /** `null`: bodies are not counted. */
  capacity: BodyCapacity | null
}

const maxMs = 10_000
const maxDepth = 32
// A member has a name, a value and quotes, so a body that the API accepts needs at least this many bytes per value.
const minBytesPerValue = 4
const maxValues = 100_000

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes. A hook that runs before bodies are read may set it; `null`: the limit of the route applies. */
    jsonBodyLimit: number | null
  }
}

/**
 * Reads JSON bodies in `app`, up to the request's `jsonBodyLimit` or the route's `bodyLimit`. Fastify's own parser waits for a stalled body
 * until the server's request timeout, and this server has none because uploads may take hours. An empty body is `undefined`.
 * @throws UploadError INVALID_REQUEST, FILE_TOO_LARGE, BODY_TIMEOUT, OVERLOADED
 */
export function readJsonBodies(app: FastifyInstance, { idleMs, totalMs = maxMs, capacity }: JsonBodyOptions): void {
  if (!app.hasRequestDecorator('jsonBodyLimit')) app.decorateRequest('jsonBodyLimit', null)
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', (request, payload, done) => {
    const limit = request.jsonBodyLimit ?? request.routeOptions.bodyLimit
    const tooLarge = () => done(errors.bodyLimitExceeded({ limit }))
    if (Number(request.headers['content-length'] ?? 0) > limit) return tooLarge()
    let slot: BodySlot
    try {
      slot = reserveCapacity(request, capacity)
    } catch (error) {
      return done(error as UploadError)
    }
    const chunks: Buffer[] = []
    const reading = receiveBody(payload, {
      limit,
      idleMs,
      minSpeed: 0,
      totalMs,
      signal: slot.signal,
      slot,
      take(bytes) {
        chunks.push(bytes)
        return null
      },
    })
    void reading.then((end) => {
      slot.leave()
      if (end === 'too-long') return tooLarge()
      if (end === 'cancelled') return done(slot.signal.reason as UploadError)
      if (end === 'timeout') return done(errors.bodyTimeout())
      if (end !== 'complete') return done(errors.bodyIncomplete())
      const bytes = Buffer.concat(chunks)
      const values = Math.min(maxValues, Math.ceil(limit / minBytesPerValue))
      const excess = exceededLimit(bytes, { depth: maxDepth, values })
      if (excess === 'depth') return done(errors.bodyNestedTooDeep({ depth: maxDepth }))
      if (excess) return done(errors.bodyTooManyValues({ values }))
      const text = decode(bytes)
      if (text === null) return done(errors.bodyNotUtf8())
      return text.trim() === '' ? done(null, undefined) : parse(request, text, done)
    })
  })
}

/** Takes a slot among the bodies at once, and counts the bytes that arrive in the memory budget. @throws UploadError OVERLOADED */
function reserveCapacity(request: FastifyRequest, capacity: BodyCapacity | null): BodySlot {
  if (!capacity) return { signal: new AbortController().signal, received() {}, leave() {} }
  const { gate, budget } = capacity
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
