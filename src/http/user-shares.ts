import type { FastifyInstance } from 'fastify'
import { errors } from '../core/errors/errors.ts'
import type { FairShare } from '../core/fair-share.ts'
import { workFor } from '../core/turns.ts'
import { ownerKey } from '../core/upload.ts'
import { onResponseClosed } from './connection/response-closed.ts'

/**
 * Shares the server between the users of this scope, after authentication: each request takes a place of `requests` until it is answered,
 * and everything that is done for it is done for its user, who takes turns with others at the database.
 */
export function shareBetweenUsers(app: FastifyInstance, requests: FairShare): void {
  app.addHook('onRequest', (request, { raw }, done) => {
    if (request.method === 'OPTIONS') return done()
    const user = ownerKey(request.actor)
    const release = requests.take(user)
    if (!release) return done(errors.userOverloaded({ rule: 'REQUESTS_AT_ONCE' }))
    onResponseClosed(raw, release)
    workFor(user, done)
  })
}
