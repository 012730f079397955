/* Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body. See standardwebhooks.com */
import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'

/** A new secret: `whsec_` and 32 random bytes in Base64. */
export function newSecret(): string {
  return prefix + randomBytes(32).toString('base64')
}

/** The headers of a message: its id, the time of this attempt, and one signature for each of `secrets`. */
export function signedHeaders(id: string, at: Date, body: string, secrets: string[]): Record<string, string> {
  const seconds = Math.floor(at.getTime() / 1000)
  const signatures = secrets.map((secret) => `v1,${sign(secret, `${id}.${seconds}.${body}`)}`)
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') }
}

function sign(secret: string, text: string): string {
  return createHmac('sha256', Buffer.from(secret.slice(prefix.length), 'base64'))
    .update(text)
    .digest('base64')
}
