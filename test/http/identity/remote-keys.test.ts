import { beforeEach, describe, expect, it, vi } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { issuersCheck } from '../../../src/http/identity/issuers.ts'
import { issuerOf, makeKey, type Provider, startProvider, tokenOf } from '../../support/issuer.ts'
import { testApp } from '../../support/test-app.ts'

const ann = userOf('ann', 'member')
const [first, second] = await Promise.all([makeKey('RS256'), makeKey('ES256')])

// The clock stands still unless a test advances it.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))

const advance = (ms: number) => vi.setSystemTime(Date.now() + ms)

function check(provider: Provider, timing: Record<string, string> = {}) {
  return issuersCheck([issuerOf({ jwksUrl: provider.url, jwksCooldown: '50ms', ...timing })])
}

describe('the keys that an issuer publishes', () => {
  it('are fetched for the first token and then cached', async () => {
    const provider = await startProvider(first)
    const verify = check(provider)

    expect(provider.asked()).toBe(0)
    for (let times = 0; times < 20; times += 1) expect(await verify(await tokenOf(first))).toEqual(ann)
    expect(provider.asked()).toBe(1)
  })

  it('may change without a restart: a new one is accepted, an old one refused', async () => {
    const provider = await startProvider(first)
    const verify = check(provider)
    expect(await verify(await tokenOf(first))).toEqual(ann)
    await expect(verify(await tokenOf(second))).rejects.toMatchObject({ status: 401 })

    provider.publish(first, second)
    advance(60)
    expect(await verify(await tokenOf(second))).toEqual(ann)
    expect(await verify(await tokenOf(first))).toEqual(ann)

    provider.publish(second)
    advance(60)
    await expect(verify(await tokenOf({ ...first, kid: 'unknown' }))).rejects.toMatchObject({ status: 401 })
    await expect(verify(await tokenOf(first))).rejects.toMatchObject({ status: 401 })
  })

  it('are fetched again after jwksMaxAge, so a withdrawn one is refused', async () => {
    const provider = await startProvider(first, second)
    const verify = check(provider, { jwksMaxAge: '100ms' })
    expect(await verify(await tokenOf(first))).toEqual(ann)

    provider.publish(second)
    advance(120)

    await expect(verify(await tokenOf(first))).rejects.toMatchObject({ status: 401 })
  })

  it('are not fetched again for each token that names an unknown key', async () => {
    const provider = await startProvider(first)
    const verify = check(provider, { jwksCooldown: '1m' })

    for (let times = 0; times < 20; times += 1)
      await expect(verify(await tokenOf({ ...first, kid: `made-up-${times}` }))).rejects.toMatchObject({ status: 401 })

    expect(provider.asked()).toBe(1)
  })

  it('are all tried when a token has no kid', async () => {
    const another = await makeKey('RS256')
    const provider = await startProvider(another, first)
    const verify = check(provider)
    const { kid: _, ...unnamed } = first

    expect(await verify(await tokenOf(unnamed))).toEqual(ann)
    const { kid: __, ...unpublished } = await makeKey('RS256')
    await expect(verify(await tokenOf(unpublished))).rejects.toMatchObject({ status: 401 })
    await expect(verify(await tokenOf(unnamed, { aud: 'another' }))).rejects.toMatchObject({ status: 401 })
  })

  it('are not used when they are too weak', async () => {
    const weak = await makeKey('RS256', { modulusLength: 2048 })
    const provider = await startProvider({ ...weak, jwk: { ...weak.jwk, n: weak.jwk.n!.slice(0, 170) } })

    await expect(check(provider)(await tokenOf(weak))).rejects.toMatchObject({ status: 401 })
  })

  it('are not used if they are for encryption or another algorithm', async () => {
    const provider = await startProvider({ ...first, jwk: { ...first.jwk, use: 'enc' } })
    await expect(check(provider)(await tokenOf(first))).rejects.toMatchObject({ status: 401 })

    provider.publish(first)
    await expect(check(provider)(await tokenOf({ ...first, alg: 'RS512' }).catch(() => 'a.b.c'))).resolves.toBeNull()
  })
})

describe('an issuer that does not answer', () => {
  const outages: [string, (provider: Provider) => void | Promise<void>][] = [
    ['is down', (provider) => provider.stop()],
    ['answers 500', (provider) => provider.answer(500, '{"keys":[]}')],
    ['answers with HTML', (provider) => provider.answer(200, '<html>')],
    ['answers with other JSON', (provider) => provider.answer(200, '{"issuer":"x"}')],
    [
      'answers with too many bytes',
      (provider) => provider.answer(200, JSON.stringify({ keys: [], x: 'x'.repeat(2 ** 21) })),
    ],
    ['redirects', (provider) => provider.answer(302, '', { location: 'http://127.0.0.1:1/' })],
  ]
  it.each(outages)('causes 503 and never 401: %s', async (_what, breakProvider) => {
    const provider = await startProvider(first)
    const verify = check(provider)
    await breakProvider(provider)

    await expect(verify(await tokenOf(first))).rejects.toMatchObject({ code: 'IDENTITY_UNAVAILABLE', status: 503 })

    await provider.stop()
    provider.publish(first)
    await provider.start()
    advance(60)
    expect(await verify(await tokenOf(first))).toEqual(ann)
  })

  it('is asked once per cooldown and not for every token', async () => {
    const provider = await startProvider(first)
    provider.answer(500, '')
    const verify = check(provider, { jwksCooldown: '1m' })

    for (let times = 0; times < 10; times += 1)
      await expect(verify(await tokenOf(first))).rejects.toMatchObject({ status: 503 })

    expect(provider.asked()).toBe(1)
  })

  it('does not invalidate its last keys before jwksMaxStale', async () => {
    const provider = await startProvider(first)
    const verify = check(provider, { jwksMaxAge: '50ms', jwksMaxStale: '600ms' })
    expect(await verify(await tokenOf(first))).toEqual(ann)
    await provider.stop()

    advance(100)
    expect(await verify(await tokenOf(first))).toEqual(ann)
    await expect(verify(await tokenOf(second))).rejects.toMatchObject({ status: 503 })
    advance(600)
    await expect(verify(await tokenOf(first))).rejects.toMatchObject({ status: 503 })
  })
})

it('a server whose issuer is down answers 503 in every protocol, then recovers', async () => {
  const provider = await startProvider(first)
  const issuer = {
    name: 'x',
    issuer: 'https://issuer.example',
    audience: 'landfall',
    jwksUrl: provider.url,
    jwksCooldown: '50ms',
  }
  const app = await testApp({ ISSUERS: JSON.stringify([issuer]) })
  const headers = { authorization: `Bearer ${await tokenOf(first)}` }
  const create = { method: 'POST', url: '/files' } as const
  const tus = {
    ...headers,
    'tus-resumable': '1.0.0',
    'upload-length': '5',
    'upload-metadata': 'filetype dGV4dC9wbGFpbg==',
  }
  const rufh = {
    ...headers,
    'upload-draft-interop-version': '8',
    'upload-complete': '?0',
    'content-type': 'text/plain',
  }
  const all = () =>
    Promise.all([
      app.http.inject({ ...create, headers: tus }),
      app.http.inject({ ...create, headers: rufh }),
      app.http.inject({ url: '/v1/me', headers }),
    ])

  await provider.stop()
  const down = await all()
  await provider.start()
  advance(60)
  const up = await all()

  for (const answer of down) {
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '5'])
    expect(answer.json().error.code).toBe('IDENTITY_UNAVAILABLE')
  }
  expect(up.map(({ statusCode }) => statusCode)).toEqual([201, 201, 200])
})
