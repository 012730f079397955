import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { Issuer } from '../../src/http/identity/issuer.ts'

/** A key pair of an identity provider. */
export interface SigningKey {
  kid: string
  alg: string
  /** The public key as the provider publishes it. */
  jwk: JWK
  privateKey: CryptoKey
}

/** An identity provider that publishes its keys on a port of its own. */
export interface Provider {
  url: string
  /** How often its keys were requested. */
  asked(): number
  publish(...keys: SigningKey[]): void
  /** Sets the response instead of the keys, until `publish` is called. */
  answer(status: number, body: string, headers?: Record<string, string>): void
  stop(): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
}

let keys = 0

/** A new key pair for `alg`. */
export async function makeKey(alg: string, options: { modulusLength?: number } = {}): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true, ...options })
  const kid = `key-${++keys}`
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** A token of `issuer.example` for `landfall`, by default valid for a minute. `claims` override the defaults; `undefined` omits a claim. */
export function tokenOf(
  key: Pick<SigningKey, 'alg'> & { kid?: string; privateKey: CryptoKey | Uint8Array },
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const defaults = {
    iss: 'https://issuer.example',
    aud: 'landfall',
    sub: 'ann',
    role: 'member',
    iat: now,
    exp: now + 60,
  }
  return new SignJWT({ ...defaults, ...claims })
    .setProtectedHeader({ alg: key.alg, ...(key.kid && { kid: key.kid }), ...header })
    .sign(key.privateKey)
}

/** The issuer of a setting, with defaults for tests. */
export function issuerOf(setting: Record<string, unknown>): Issuer {
  const defaults = { name: 'example', issuer: 'https://issuer.example', audience: 'landfall' }
  return loadConfig({ ISSUERS: JSON.stringify([{ ...defaults, ...setting }]) }).ISSUERS[0]!
}

/** Starts a provider that listens until the test ends. */
export async function startProvider(...initial: SigningKey[]): Promise<Provider> {
  let asked = 0
  let port = 0
  let reply: { status: number; body: string; headers: Record<string, string> } | null = null
  let published = initial
  const server = createServer((request, response) => {
    asked += 1
    const isKeySet = request.url === '/.well-known/jwks.json'
    const { status, body, headers } = reply ?? {
      status: isKeySet ? 200 : 404,
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
