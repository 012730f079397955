import type { FastifyInstance, FastifyRequest } from 'fastify'
import { errors } from '../../core/errors/errors.ts'
import { rateLimitKey } from '../identity/client-info.ts'
import { onResponseClosed } from './response-closed.ts'
import { createShares } from './shares.ts'

export interface LoadLimits {
  /** Maximum requests at once of all clients together. */
  maxRequests: number
  /** Maximum requests at once of one address; the networks around it may have twice and four times as many. */
  perAddress: number
  /** The number of requests in progress, including the one that is being checked. */
  running(): number
}

/**
 * Limits the number of requests at once; further ones are refused with OVERLOADED before any work is done for them. Behind a proxy, whose
 * connections serve many clients, this limit takes the place of the limit of connections per address. Health probes are always answered.
 */
export function limitLoad(app: FastifyInstance, { maxRequests, perAddress, running }: LoadLimits): void {
  const shares = createShares(perAddress)
  app.addHook('onRequest', async (request, { raw }) => {
    if (request.routeOptions.config.isProbe) return
    if (running() > maxRequests) throw errors.serverOverloaded({ rule: 'REQUESTS_AT_ONCE' })
    const release = takeShare(request)
    if (!release) throw errors.addressOverloaded({ rule: 'CONNECTIONS_PER_ADDRESS' })
    onResponseClosed(raw, release)
  })

  function takeShare(request: FastifyRequest) {
    return rateLimitKey(request) === null ? () => {} : shares.take(request.ip)
  }
}
