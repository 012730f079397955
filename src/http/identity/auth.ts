import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { UploadError } from '../../core/errors/error.ts'
import type { Actor } from '../../core/upload.ts'
import { bearerOf } from './bearer.ts'
import { clientInfoOf } from './client-info.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. Only where the auth plugin is registered; elsewhere, and on OPTIONS, reading it throws UNAUTHENTICATED. */
    readonly actor: Actor
    /** Who asks by now, for an answer that goes on longer than a token is good. Throws as a new request would be refused. */
    readonly authenticateAgain: () => Promise<Actor>
  }
  interface FastifyContextConfig {
    /** The route is about one upload and leaves it to the engine who may ask: resume tokens are taken, and nowhere else. */
    takesResumeTokens?: boolean
  }
}

/**
 * Who a bearer token speaks for, or `null` when this check does not know the token. Checks are asked in turn, so other
 * issuers and API keys enter as one more check.
 */
export type TokenCheck = (token: string) => Promise<Actor | null>

/** Who sends a request whose token, if it has one, no check knows; `null`: nobody that is known. */
export type Identify = (request: Pick<FastifyRequest, 'method' | 'url' | 'headers' | 'ip'>) => Promise<Actor | null>

export interface AuthOptions {
  checks: TokenCheck[]
  identify?: Identify | undefined
}

/** Puts `request.actor` on every request of the scope, or refuses it. OPTIONS carries no token and passes. */
export const authPlugin = fastifyPlugin<AuthOptions>(
  async (app: FastifyInstance, { checks, identify }) => {
    const actors = new WeakMap<FastifyRequest, Actor>()

    app.decorateRequest('actor', {
      getter() {
        const actor = actors.get(this)
        if (!actor) throw new UploadError('UNAUTHENTICATED', 'This needs a token.')
        return actor
      },
    })
    app.decorateRequest('askAgain', function askAgain(this: FastifyRequest) {
      return findActor(this, checks, identify)
    })
    app.addHook('onRequest', async (request) => {
      if (request.method === 'OPTIONS') return
      const actor = await findActor(request, checks, identify)
      if (actor.resumeUploadId !== undefined && !request.routeOptions.config?.takesResumeTokens)
        throw new UploadError('UNAUTHENTICATED', 'A resume token is good for its own upload only.')
      actors.set(request, { ...actor, client: clientInfoOf(request) })
    })
  },
  { name: 'landfall-auth' },
)

async function findActor(request: FastifyRequest, checks: TokenCheck[], identify?: Identify): Promise<Actor> {
  const token = bearerOf(request)
  if (token !== undefined) {
    for (const check of checks) {
      const actor = await check(token)
      if (actor) return actor
    }
  }
  const actor = identify && (await identify(request))
  if (actor) return actor
  if (token === undefined) throw new UploadError('UNAUTHENTICATED', 'This needs a token: Authorization: Bearer …')
  throw new UploadError('UNAUTHENTICATED', 'The token is not valid.')
}
