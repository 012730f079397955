import type { FastifyInstance, FastifyRequest } from 'fastify'
import { readBody } from '../../core/append/body.ts'
import type { BodyGate, Passage } from '../../core/append/body-gate.ts'
import { UploadError } from '../../core/errors.ts'
import type { MemoryBudget } from '../../core/parts/memory-budget.ts'
import { wordFor } from '../../core/upload.ts'
import { countedAs } from '../identity/origin.ts'
import { actorIfKnown } from '../refused.ts'
import { excessOf } from './json-shape.ts'

/** What the bodies of a server have in common: how many may flow, and the memory that they take. */
export interface BodyRoom {
  gate: BodyGate
  budget: Pick<MemoryBudget, 'add' | 'giveBack'>
}

export interface JsonReading {
  /** A body that brings nothing for so long is refused. 0: never. */
  idleMs: number
  /** A body must be whole within this. A few kilobytes must come at once, however evenly they drip. */
  totalMs?: number
  /** Not given: bodies are counted nowhere. */
  room?: BodyRoom | undefined
}

const longestMs = 10_000
const mostDepth = 32
// Of a member there are a name, a value and their quotes: a smaller one says nothing.
const bytesAValue = 4
const mostValues = 100_000

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
export function readJsonBodies(app: FastifyInstance, { idleMs, totalMs = longestMs, room }: JsonReading): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', (request, payload, done) => {
    const limit = narrower.get(request) ?? request.routeOptions.bodyLimit
    const tooLarge = () =>
      done(new UploadError('FILE_TOO_LARGE', `The request body is too large: it may have ${limit} bytes here.`))
    if (Number(request.headers['content-length'] ?? 0) > limit) return tooLarge()
    let place: Passage
    try {
      place = takePlace(request, room)
    } catch (refusal) {
      return done(refusal as UploadError)
    }
    const chunks: Buffer[] = []
    const reading = readBody(payload, {
      limit,
      idleMs,
      minSpeed: 0,
      totalMs,
      signal: place.signal,
      passage: place,
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
      const values = Math.min(mostValues, Math.ceil(limit / bytesAValue))
      const excess = excessOf(bytes, { depth: mostDepth, values })
      if (excess === 'depth')
        return done(new UploadError('INVALID_REQUEST', `The request body nests more than ${mostDepth} levels.`))
      if (excess) return done(new UploadError('INVALID_REQUEST', `The request body has more than ${values} values.`))
      const text = decode(bytes)
      if (text === null) return done(new UploadError('INVALID_REQUEST', 'The request body is not valid UTF-8.'))
      return text.trim() === '' ? done(null, undefined) : parse(request, text, done)
    })
  })
}

/** Counts the body among all that flow, and its bytes in the memory that they take. @throws UploadError OVERLOADED */
function takePlace(request: FastifyRequest, room: BodyRoom | undefined): Passage {
  if (!room) return { signal: new AbortController().signal, took() {}, leave() {} }
  const { gate, budget } = room
  const actor = actorIfKnown(request)
  const passage = gate.enter({ user: actor ? wordFor(actor) : `at ${request.ip}`, network: countedAs(request) })
  let held = 0
  return {
    signal: passage.signal,
    took(bytes) {
      held += bytes
      budget.add(bytes)
      passage.took(bytes)
    },
    leave() {
      budget.giveBack(held)
      held = 0
      passage.leave()
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
