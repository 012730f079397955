import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { UploadError } from '../../core/errors/error.ts'
import { createRates, retryAfter } from '../../core/policy/rate.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import { jsonSchema } from '../api/json-schema.ts'
import { sendNoStore } from '../api/no-store.ts'
import { clientInfoOf, rateLimitKey } from './client-info.ts'
import type { DevUser } from './sign-in-codes.ts'

export interface SignInOptions {
  /** The user of a one-time code, which is used up by this; `null` when the code is not valid. */
  redeem(code: string, now: Date): Promise<DevUser | null>
  /** A token for `actor` that is valid for `ttlSeconds`. */
  sign(actor: Actor, ttlSeconds: number): Promise<string>
  /** Told before a token leaves the server; when it fails, no token is given. */
  onIssue(actor: Actor): Promise<void>
  now(): Date
}

/** Milliseconds for which a token of the page is valid. */
export const devTokenMs = 12 * 60 * 60 * 1000

// A code has 256 bits: this bounds the work of guessing, and no guess would ever be right.
const triesPerMinute = 10
const networks = 1000

const body = z.object({ code: z.string().min(1).max(256) })
const answer = z.object({ token: z.string(), user: z.string(), role: z.string(), expiresAt: z.iso.datetime() })
const schema = { hide: true, body: jsonSchema(body, 'input'), response: { 200: jsonSchema(answer, 'output') } }

/**
 * `POST /v1/dev/sign-in`: trades the one-time code of a sign-in link for a token, never one of an admin. Registered in development
 * mode only. Where a request comes from gives no rights: behind a proxy on this machine every client has a loopback address.
 */
export async function signInPlugin(app: FastifyInstance, options: SignInOptions): Promise<void> {
  const { redeem, sign, onIssue, now } = options
  const tries = createRates(networks)
  sendNoStore(app)

  app.post<{ Body: z.output<typeof body> }>('/v1/dev/sign-in', { schema, bodyLimit: 1024 }, async (request) => {
    const waitMs = tries.count(rateLimitKey(request) ?? 'loopback', triesPerMinute)
    if (waitMs > 0)
      throw new UploadError('RATE_LIMITED', 'There were too many sign-in attempts. Try again in a minute.', {
        retryAfter: retryAfter(waitMs),
      })
    const found = await redeem(request.body.code, now())
    if (!found)
      throw new UploadError(
        'UNAUTHENTICATED',
        'This sign-in link was used already or has expired. `npx landfall sign-in-link` prints another one.',
      )
    const { user, role } = found
    const actor = userOf(user, role, { client: clientInfoOf(request) })
    const expiresAt = new Date(now().getTime() + devTokenMs)
    const token = await sign(actor, devTokenMs / 1000)
    await onIssue(actor)
    return { token, user, role, expiresAt: expiresAt.toISOString() }
  })
}
