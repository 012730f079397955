/*
 * The keys that an issuer publishes at a URL (JWKS). jose fetches them when they are first needed, caches them, and fetches them again when
 * a token names a key that is not among them, so an issuer can rotate keys without a restart of this server. This file adds what an
 * issuer's outage requires: a minimum time between fetches, a limit on the size of the answer, and use of the last good keys for a while.
 */
import {
  createRemoteJWKSet,
  customFetch,
  type FetchImplementation,
  type JWTVerifyGetKey,
  errors as joseErrors,
} from 'jose'
import { errors } from '../../core/errors/errors.ts'
import type { RemoteTiming } from './issuer.ts'

const timeoutMs = 5_000
const maxBytes = 1024 ** 2

/**
 * Returns a function that finds the key of a token among those published at `url`.
 * @throws UploadError IDENTITY_UNAVAILABLE if the issuer does not answer, so that the server cannot know whether the key is valid
 */
export function remoteKeys(url: URL, { maxAge, cooldown, maxStale }: RemoteTiming): JWTVerifyGetKey {
  let lastKeys: { text: string; at: number } | null = null
  let failure: { cause: unknown; at: number } | null = null

  const fetchKeys: FetchImplementation = async (address, options) => {
    const now = Date.now()
    if (failure === null || now - failure.at >= cooldown) {
      try {
        lastKeys = { text: await readKeys(address, options), at: now }
        failure = null
      } catch (cause) {
        failure = { cause, at: now }
      }
    }
    if (failure !== null && (lastKeys === null || now - lastKeys.at > maxStale))
      throw errors.issuerUnavailable({}, failure.cause)
    return new Response(lastKeys!.text)
  }

  const keys = createRemoteJWKSet(url, {
    cacheMaxAge: maxAge,
    cooldownDuration: cooldown,
    timeoutDuration: timeoutMs,
    [customFetch]: fetchKeys,
  })
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (thrown) {
      // The issuer may have published this key since the last successful fetch, so an unknown key is not a reason for 401 now.
      if (thrown instanceof joseErrors.JWKSNoMatchingKey && failure !== null)
        throw errors.issuerUnavailable({}, failure.cause)
      throw thrown
    }
  }
}

async function readKeys(address: string, options: Parameters<FetchImplementation>[1]): Promise<string> {
  const response = await fetch(address, options)
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the JWKS URL of the issuer answers ${response.status}`)
  }
  const text = await readText(response)
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('the JWKS URL of the issuer does not answer with a set of keys')
  return text
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`the JWKS of the issuer is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
