import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { Issuer } from '../../src/http/identity/issuer.ts'

/** A pair of keys as an identity provider has them. */
export interface SigningKey {
  kid: string
  alg: string
  /** As it would be published. */
  jwk: JWK
  privateKey: CryptoKey
}

/** An identity provider that publishes its keys on a port of its own. */
export interface Provider {
  url: string
  /** How often it was asked for its keys. */
  asked(): number
  publish(...keys: SigningKey[]): void
  /** What it answers instead of its keys, until it is told to publish again. */
  answer(status: number, body: string, headers?: Record<string, string>): void
  stop(): Promise<void>
  /** On the same port. */
  start(): Promise<void>
}

let keys = 0

/** A new pair of keys for `alg`. */
export async function makeKey(alg: string, options: { modulusLength?: number } = {}): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true, ...options })
  const kid = `key-${++keys}`
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** A token of `issuer.example` for `landfall`, good for a minute unless `claims` say otherwise; `undefined` leaves a claim out. */
export function tokenOf(
  key: Pick<SigningKey, 'alg'> & { kid?: string; privateKey: CryptoKey | Uint8Array },
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const usual = { iss: 'https://issuer.example', aud: 'landfall', sub: 'ann', role: 'member', iat: now, exp: now + 60 }
  return new SignJWT({ ...usual, ...claims })
    .setProtectedHeader({ alg: key.alg, ...(key.kid && { kid: key.kid }), ...header })
    .sign(key.privateKey)
}

/** The issuer that a setting describes, with what tests usually say. */
export function issuerOf(setting: Record<string, unknown>): Issuer {
  const usual = { name: 'example', issuer: 'https://issuer.example', audience: 'landfall' }
  return loadConfig({ ISSUERS: JSON.stringify([{ ...usual, ...setting }]) }).ISSUERS[0]!
}

/** A provider that listens until the test ends. */
export async function startProvider(...first: SigningKey[]): Promise<Provider> {
  let asked = 0
  let port = 0
  let reply: { status: number; body: string; headers: Record<string, string> } | null = null
  let published = first
  const server = createServer((request, response) => {
    asked += 1
    const isKnown = request.url === '/.well-known/jwks.json'
    const { status, body, headers } = reply ?? {
      status: isKnown ? 200 : 404,
      body: JSON.stringify({ keys: published.map(({ jwk }) => jwk) }),
      headers: {},
    }
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  })

  async function start(): Promise<void> {
    server.listen(port, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    port = (server.address() as AddressInfo).port
  }
  async function stop(): Promise<void> {
    if (!server.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  await start()
  onTestFinished(stop)
  return {
    url: `http://127.0.0.1:${port}/.well-known/jwks.json`,
    asked: () => asked,
    publish(...next) {
      published = next
      reply = null
    },
    answer(status, body, headers = {}) {
      reply = { status, body, headers }
    },
    start,
    stop,
  }
}
