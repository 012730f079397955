/*
 * The keys that an issuer publishes at a URL (JWKS). jose fetches them when they are needed, keeps them, and fetches again when a
 * token names a key that is not among them: so keys change without a restart. What stands here keeps the server polite and
 * alive when the issuer is not: one try in a while, a body of a sane size, and the last good keys for some time.
 */
import { createRemoteJWKSet, customFetch, errors, type FetchImplementation, type JWTVerifyGetKey } from 'jose'
import { UploadError } from '../../core/errors/error.ts'
import type { RemoteTiming } from './issuer.ts'

const timeoutMs = 5_000
const maxBytes = 1024 ** 2

/**
 * The key that a token was signed with, of those published at `url`.
 * @throws UploadError IDENTITY_UNAVAILABLE when nobody can tell because the issuer does not answer
 */
export function remoteKeys(url: URL, { maxAge, cooldown, maxStale }: RemoteTiming): JWTVerifyGetKey {
  let good: { text: string; at: number } | null = null
  let failure: { cause: unknown; at: number } | null = null

  const fetchKeys: FetchImplementation = async (address, options) => {
    const now = Date.now()
    if (failure === null || now - failure.at >= cooldown) {
      try {
        good = { text: await readKeys(address, options), at: now }
        failure = null
      } catch (cause) {
        failure = { cause, at: now }
      }
    }
    if (failure !== null && (good === null || now - good.at > maxStale)) throw unavailable(failure.cause)
    return new Response(good!.text)
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
      // A key that is not among old ones may be among new ones that nobody could fetch.
      if (thrown instanceof errors.JWKSNoMatchingKey && failure !== null) throw unavailable(failure.cause)
      throw thrown
    }
  }
}

async function readKeys(address: string, options: Parameters<FetchImplementation>[1]): Promise<string> {
  const response = await fetch(address, options)
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the keys of the issuer are answered with ${response.status}`)
  }
  const text = await readText(response)
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('what the issuer answers is not a set of keys')
  return text
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new Error('the keys of the issuer are too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function unavailable(cause: unknown): UploadError {
  return new UploadError(
    'IDENTITY_UNAVAILABLE',
    'Whoever knows the users does not answer. Please try again in a moment.',
    {},
    { cause },
  )
}
