import type { FastifyRequest } from 'fastify'
import { errors } from '../core/errors/errors.ts'
import { within } from '../core/within.ts'
import { actorOf } from '../features/operator-hooks/typed.ts'
import type { Identify } from '../http/identity/auth.ts'
import type { AppUser } from './options.ts'

export type Authenticate = (request: FastifyRequest) => AppUser | null | Promise<AppUser | null>

/**
 * `authenticate` as the engine asks it. A function that throws, takes longer than `timeoutMs` or returns no valid user becomes
 * IDENTITY_UNAVAILABLE, with the cause in the log.
 */
export function identifyBy(authenticate: Authenticate, timeoutMs: number): Identify {
  return async (request) => {
    try {
      const answer = await within((async () => ({ user: await authenticate(request as FastifyRequest) }))(), timeoutMs)
      if (answer === null) throw new Error(`it did not return within ${timeoutMs} ms`)
      const { user } = answer
      if (user === null) return null
      const actor = actorOf(user)
      if (!actor) throw new Error('it returned no valid user: `id` and `role` are needed')
      return { ...actor, account: user }
    } catch (cause) {
      throw errors.hookFailed({ hook: 'authenticate' }, cause)
    }
  }
}
