import type { FastifyInstance } from 'fastify'
import { type SignedIn, type SignIn, signedIn, signIn } from '../../contract/sign-in.ts'
import { errors } from '../../core/errors/errors.ts'
import { createRates, retryAfter } from '../../core/policy/rate.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import { jsonSchema } from '../api/json-schema.ts'
import { sendNoStore } from '../api/no-store.ts'
import { clientInfoOf, rateLimitKey } from './client-info.ts'
import type { DevUser } from './sign-in-codes.ts'

export interface SignInOptions {
  /** Redeems a one-time code and returns its user; `null` if the code is not valid. */
  redeem(code: string, now: Date): Promise<DevUser | null>
  /** A token for `actor` that is valid for `ttlSeconds`. */
  sign(actor: Actor, ttlSeconds: number): Promise<string>
  /** Called before a token is sent; if it fails, no token is sent. */
  onIssue(actor: Actor): Promise<void>
  now(): Date
}

/** Milliseconds for which a token of the page is valid. */
export const devTokenMs = 12 * 60 * 60 * 1000

// Codes have 256 bits and cannot be guessed; this limits the work that guesses cause.
const triesPerMinute = 10
const networks = 1000

const schema = { hide: true, body: jsonSchema(signIn, 'input'), response: { 200: jsonSchema(signedIn, 'output') } }

/**
 * `POST /v1/dev/sign-in`: exchanges the one-time code of a sign-in link for a token, never an admin's. Registered in development mode
 * only. The address of a request grants no rights: behind a proxy on this machine every client has a loopback address.
 */
export async function signInPlugin(app: FastifyInstance, options: SignInOptions): Promise<void> {
  const { redeem, sign, onIssue, now } = options
  const tries = createRates(networks)
  sendNoStore(app)

  app.post<{ Body: SignIn }>('/v1/dev/sign-in', { schema, bodyLimit: 1024 }, async (request): Promise<SignedIn> => {
    const waitMs = tries.count(rateLimitKey(request) ?? 'loopback', triesPerMinute)
    if (waitMs > 0) throw errors.signInTooFast({ retryAfter: retryAfter(waitMs) })
    const found = await redeem(request.body.code, now())
    if (!found) throw errors.signInCodeInvalid()
    const { user, role } = found
    const actor = userOf(user, role, { client: clientInfoOf(request) })
    const expiresAt = new Date(now().getTime() + devTokenMs)
    const token = await sign(actor, devTokenMs / 1000)
    await onIssue(actor)
    return { token, user, role, expiresAt: expiresAt.toISOString() }
  })
}
