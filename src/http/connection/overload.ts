import type { FastifyInstance, FastifyRequest } from 'fastify'
import { UploadError } from '../../core/errors/error.ts'
import { rateLimitKey } from '../identity/client-info.ts'
import { onResponseClosed } from './response-closed.ts'
import { createShares } from './shares.ts'

export interface LoadLimits {
  /** Requests at once, of all clients together. */
  maxRequests: number
  /** Requests at once of one address; its network may have twice or four times as many. */
  perAddress: number
  /** How many are running, the one that asks included. */
  running(): number
}

/**
 * Answers at most so many requests at once; more are told to come back before anything is done for them. Behind a proxy, whose
 * connections are other people's, this is the share of an address. Checks of the server's health are always answered.
 */
export function limitLoad(app: FastifyInstance, { maxRequests, perAddress, running }: LoadLimits): void {
  const shares = createShares(perAddress)
  app.addHook('onRequest', async (request, { raw }) => {
    if (request.routeOptions.config.isProbe) return
    if (running() > maxRequests) throw overloaded('The server has too much to do.', 'REQUESTS_AT_ONCE')
    const leave = takeShare(request)
    if (!leave) throw overloaded('Too many requests of your address are running.', 'CONNECTIONS_PER_ADDRESS')
    onResponseClosed(raw, leave)
  })

  function takeShare(request: FastifyRequest) {
    return rateLimitKey(request) === null ? () => {} : shares.take(request.ip)
  }
}

function overloaded(what: string, rule: string): UploadError {
  return new UploadError('OVERLOADED', `${what} Please try again in a moment.`, { rule })
}
