/*
 * Rate limits that are checked before any work is done for a request. Requests are counted in the memory of this server: counting in the
 * database would cost a query per request, which is the load that the limit is to prevent.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errors } from '../core/errors/errors.ts'
import { type Rates, retryAfter } from '../core/policy/rate.ts'
import { type Actor, ownerKey } from '../core/upload.ts'
import { keepOnlyAddresses } from './connection/forwarded.ts'
import { answerError } from './errors.ts'
import { rateLimitKey } from './identity/client-info.ts'

/** Counts a request of an address. @throws UploadError RATE_LIMITED */
export type AddressLimit = (request: FastifyRequest) => void

const addressLimit = Symbol('landfall address limit')

declare module 'fastify' {
  interface FastifyInstance {
    [addressLimit]?: AddressLimit
  }
}

/** Applies `limit` to every request of `app`, on every route, before any other work is done for it. */
export function enforceAddressLimit(app: FastifyInstance, limit: AddressLimit): void {
  app.decorate(addressLimit, limit)
  app.addHook('onRequest', async (request, reply) => {
    keepOnlyAddresses(request.raw.headers)
    try {
      limit(request)
    } catch (error) {
      // The answer contains no user data, so a page of any origin may read Retry-After.
      reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', 'Retry-After')
      throw error
    }
  })
}

/** Fastify's `frameworkErrors`: answers a request whose URL cannot be decoded. Hooks do not run for it, so the limit is applied here. */
export function answerUnreadable(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  keepOnlyAddresses(request.raw.headers)
  try {
    request.server[addressLimit]?.(request)
    answerError(thrown, request, reply)
  } catch (error) {
    answerError(error, request, reply)
  }
}

/**
 * Refuses requests of an address beyond `perMinute`; 0: no limit. Health probes and CORS preflights are counted apart from other requests,
 * so neither uses up the limit of the other.
 */
export function limitAddresses(rates: Rates, perMinute: number): AddressLimit {
  return (request) => {
    const network = rateLimitKey(request)
    if (perMinute === 0 || network === null) return
    const isCountedApart = request.method === 'OPTIONS' || request.routeOptions.config?.isProbe
    const kind = isCountedApart ? 'preflight or probe' : 'request'
    const waitMs = rates.count(`${kind} from ${network}`, perMinute)
    if (waitMs > 0) throw errors.addressRateExceeded({ rule: 'REQUESTS_PER_ADDRESS', retryAfter: retryAfter(waitMs) })
  }
}

/** Refuses requests of a user in this scope beyond `perMinuteOf` a minute; `null`: no limit. */
export function limitUsers(app: FastifyInstance, rates: Rates, perMinuteOf: (actor: Actor) => number | null): void {
  app.addHook('onRequest', async (request) => {
    if (request.method === 'OPTIONS') return
    const { actor } = request
    const perMinute = perMinuteOf(actor)
    if (perMinute === null) return
    const waitMs = rates.count(`request of ${ownerKey(actor)}`, perMinute)
    if (waitMs > 0)
      throw errors.userRateExceeded({ perMinute, rule: 'requestsPerMinute', retryAfter: retryAfter(waitMs) })
  })
}

/** Returns a check that refuses creations from one address beyond `perMinute`; 0: no limit. It throws UploadError RATE_LIMITED. */
export function limitCreations(rates: Rates, perMinute: number): (actor: Actor) => void {
  return ({ client }) => {
    if (perMinute === 0 || !client?.network) return
    const waitMs = rates.count(`creation from ${client.network}`, perMinute)
    if (waitMs > 0)
      throw errors.addressCreationsTooFast({ rule: 'CREATIONS_PER_ADDRESS', retryAfter: retryAfter(waitMs) })
  }
}
