/*
 * What a request is held to before anything is done for it. Requests are counted in the memory of this server: a count in
 * the database would cost what it is meant to save.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { UploadError } from '../core/errors/error.ts'
import { type Rates, retryAfter } from '../core/policy/rate.ts'
import { type Actor, ownerKey } from '../core/upload.ts'
import { keepOnlyAddresses } from './connection/forwarded.ts'
import { answerError } from './errors.ts'
import { rateLimitKey } from './identity/client-info.ts'

/** Counts a request by its address. @throws UploadError RATE_LIMITED */
export type AddressLimit = (request: FastifyRequest) => void

// By Node's server, which all scopes of an app have in common.
const limits = new WeakMap<object, AddressLimit>()

/** Holds every request of `app`, whatever its route, to `limit`, before anything is done for it. */
export function enforceAddressLimit(app: FastifyInstance, limit: AddressLimit): void {
  limits.set(app.server, limit)
  app.addHook('onRequest', async (request, reply) => {
    keepOnlyAddresses(request.raw.headers)
    try {
      limit(request)
    } catch (error) {
      // The answer holds no data of a user: a page of any origin may read when to come back.
      reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', 'Retry-After')
      throw error
    }
  })
}

/** Fastify's `frameworkErrors`: the answer to an address that cannot be read, which no hook sees. */
export function answerUnreadable(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  keepOnlyAddresses(request.raw.headers)
  try {
    limits.get(request.server.server)?.(request)
    answerError(thrown, request, reply)
  } catch (error) {
    answerError(error, request, reply)
  }
}

/**
 * Refuses requests of an address beyond `perMinute`; 0: none. Checks of the server's health, and the preflights of browsers, have
 * a count of their own, so that neither takes the other's room.
 */
export function limitAddresses(rates: Rates, perMinute: number): AddressLimit {
  return (request) => {
    const network = rateLimitKey(request)
    if (perMinute === 0 || network === null) return
    const isAside = request.method === 'OPTIONS' || request.routeOptions.config?.isProbe
    const what = isAside ? 'preflight or check' : 'request'
    const waitMs = rates.count(`${what} from ${network}`, perMinute)
    if (waitMs > 0)
      throw rateLimited('Too many requests come from your address.', { rule: 'REQUESTS_PER_ADDRESS', waitMs })
  }
}

/** Lets a user of this scope ask so often a minute as `perMinuteOf` says; `null`: any number. */
export function limitUsers(app: FastifyInstance, rates: Rates, perMinuteOf: (actor: Actor) => number | null): void {
  app.addHook('onRequest', async (request) => {
    if (request.method === 'OPTIONS') return
    const { actor } = request
    const perMinute = perMinuteOf(actor)
    if (perMinute === null) return
    const waitMs = rates.count(`request of ${ownerKey(actor)}`, perMinute)
    if (waitMs > 0)
      throw rateLimited(`You may ask at most ${perMinute} times a minute.`, { rule: 'requestsPerMinute', waitMs })
  })
}

/** A gate for creations: so many a minute from one address; 0: any number. */
export function limitCreations(rates: Rates, perMinute: number): (actor: Actor) => void {
  return ({ client }) => {
    if (perMinute === 0 || !client?.network) return
    const waitMs = rates.count(`creation from ${client.network}`, perMinute)
    if (waitMs > 0)
      throw rateLimited('Too many uploads are begun from your address.', { rule: 'CREATIONS_PER_ADDRESS', waitMs })
  }
}

function rateLimited(message: string, { rule, waitMs }: { rule: string; waitMs: number }): UploadError {
  return new UploadError('RATE_LIMITED', message, { rule, retryAfter: retryAfter(waitMs) })
}
