import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type Action, actions } from '../../core/access/actions.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'
import { decorateOwnRequests } from '../request-decorator.ts'
import { bearerOf } from './bearer.ts'
import { clientInfoOf } from './client-info.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated actor. Reading it throws UNAUTHENTICATED on OPTIONS and outside scopes of the auth plugin. */
    readonly actor: Actor
    /** Authenticates the request once more, for responses that outlast a token. Throws if a new request would be refused. */
    readonly authenticateAgain: () => Promise<Actor>
  }
  interface FastifyContextConfig {
    /**
     * What the route asks of the user's uploads; a route of several methods may ask for several things. The engine decides by the table of
     * actions who may; a route accepts resume tokens where one of its actions does.
     */
    actions?: readonly Action[]
  }
}

/**
 * Returns the actor of a bearer token, or `null` if the token is of a kind that this check does not know; then the next check is tried.
 * Issuers and API keys are one check each.
 * @throws UploadError if the check knows the token and refuses it
 */
export type TokenCheck = (token: string) => Promise<Actor | null>

/** Identifies the actor of a request that has no token, or one that no check knows; `null` if it cannot. */
export type Identify = (request: Pick<FastifyRequest, 'method' | 'url' | 'headers' | 'ip'>) => Promise<Actor | null>

export interface AuthOptions {
  checks: TokenCheck[]
  identify?: Identify | undefined
}

/** Sets `request.actor` on every request of the scope, or refuses the request. OPTIONS passes, because browsers send no token with it. */
export const authPlugin = fastifyPlugin<AuthOptions>(
  async (app: FastifyInstance, { checks, identify }) => {
    const actors = new WeakMap<FastifyRequest, Actor>()

    decorateOwnRequests(app, 'actor', {
      getter() {
        const actor = actors.get(this)
        if (!actor) throw errors.tokenMissing()
        return actor
      },
    })
    decorateOwnRequests(app, 'authenticateAgain', {
      getter() {
        return () => findActor(this, checks, identify)
      },
    })
    app.addHook('onRequest', async (request) => {
      if (request.method === 'OPTIONS') return
      const actor = await findActor(request, checks, identify)
      const asked = request.routeOptions.config?.actions ?? []
      if (actor.resumeUploadId !== undefined && !asked.some((action) => actions[action].resumeToken))
        throw errors.resumeTokenOfOther()
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
  throw token === undefined ? errors.tokenMissing() : errors.tokenInvalid()
}
