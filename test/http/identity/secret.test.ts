import { generateKeyPairSync } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { resumeCheck, resumeTokens } from '../../../src/http/identity/resume.ts'
import { anyToken, secretCheck, signToken, type TokenRules } from '../../../src/http/identity/secret.ts'

const secret = 'k7Qp2vXz9LrT4mWc8NbJ6yHd3FsG5aEu'
const older = 'Zt5rWq8xLm2nBv7cKj4hGf6dSp9aYe3u'
const now = () => Math.floor(Date.now() / 1000)
const ann = userOf('ann', 'member')
const good = () => ({ sub: 'ann', role: 'member', iat: now(), exp: now() + 60 })

/** Checks a token with `claims` under `rules`. */
function checkClaims(claims: Record<string, unknown>, rules: Partial<TokenRules> = {}, key = secret, alg = 'HS256') {
  const token = new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(key))
  return token.then(secretCheck(secret, { ...anyToken, ...rules }))
}

describe('a token of the shared secret', () => {
  it.each([
    ['without exp', { exp: undefined }, 'has no exp'],
    ['that has expired', { iat: 1, exp: now() - 60 }, 'has expired'],
    ['that is not valid yet', { nbf: now() + 60 }, 'not valid yet'],
    ['that was issued in the future', { iat: now() + 60, exp: now() + 120 }, 'issued in the future'],
    ['that ends before it was issued', { iat: now() + 4, exp: now() + 1 }, 'expires before it was issued'],
    ['whose exp is text', { exp: 'never' }, 'exp'],
    ['whose iat is text', { iat: 'long ago' }, 'iat'],
    ['whose nbf is text', { nbf: 'soon' }, 'not valid'],
  ])('%s is refused', async (_what, claims, message) => {
    await expect(checkClaims({ ...good(), ...claims })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(message),
    })
  })

  it('is accepted if the clocks differ by a few seconds', async () => {
    expect(await checkClaims({ ...good(), iat: now() + 3, nbf: now() + 3 })).toEqual(ann)
    expect(await checkClaims({ ...good(), iat: now() - 60, exp: now() - 3 })).toEqual(ann)
  })

  it.each([
    ['another audience', { aud: 'billing' }, { audience: ['landfall', 'uploads'] }, 'not issued for this server'],
    ['no audience', {}, { audience: ['landfall'] }, 'has no aud'],
    ['another issuer', { iss: 'https://evil.example' }, { issuer: 'https://id.example' }, 'another issuer'],
    ['an issuer with the same beginning', { iss: 'https://id.example/' }, { issuer: 'https://id.example' }, 'issuer'],
    ['no issuer', {}, { issuer: 'https://id.example' }, 'has no iss'],
  ])('for %s is refused if the settings require one', async (_what, claims, rules, message) => {
    await expect(checkClaims({ ...good(), ...claims }, rules)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(message),
    })
  })

  it('is accepted if audience and issuer are those of the settings', async () => {
    const rules = { issuer: 'https://id.example', audience: ['landfall', 'uploads'] }

    expect(await checkClaims({ ...good(), iss: 'https://id.example', aud: ['x', 'uploads'] }, rules)).toEqual(ann)
  })

  it.each([
    ['from its iat', { iat: now() - 3000, exp: now() + 1000 }],
    ['from now, without an iat', { iat: undefined, exp: now() + 4000 }],
    ['from now, with an old iat', { iat: 1, exp: now() + 1000 }],
  ])('that is valid for too long, counted %s, is refused', async (_what, claims) => {
    await expect(checkClaims({ ...good(), ...claims }, { maxLifetimeMs: 3_600_000 })).rejects.toThrow(
      'JWT_MAX_LIFETIME',
    )
  })

  it.each(['HS384', 'HS512'])('signed with %s is refused', async (alg) => {
    expect(await checkClaims(good(), {}, secret.repeat(2), alg)).toBeNull()
  })

  it('without a signature, or signed with RS256, is refused', async () => {
    const none = new UnsecuredJWT(good()).encode()
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const rsa = await new SignJWT(good()).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)

    expect([await secretCheck(secret)(none), await secretCheck(secret)(rsa)]).toEqual([null, null])
  })
})

describe('while a secret is replaced', () => {
  it('tokens of both are accepted, and of no other', async () => {
    const check = secretCheck([secret, older])

    expect(await check(await signToken(secret, ann, 60))).toEqual(ann)
    expect(await check(await signToken(older, ann, 60))).toEqual(ann)
    expect(await check(await signToken(`${older}x`, ann, 60))).toBeNull()
  })

  it('tokens of the old secret must meet the same rules', async () => {
    const check = secretCheck([secret, older], { ...anyToken, audience: ['landfall'] })

    await expect(signToken(older, ann, 60).then(check)).rejects.toThrow('aud')
  })

  it('resume tokens of both are accepted', async () => {
    const check = resumeCheck([secret, older])
    const id = '00000000-0000-4000-8000-000000000000'

    for (const one of [secret, older])
      expect(await check(resumeTokens(one)(ann, { id }))).toMatchObject({ id: 'ann', resumeUploadId: id })
    expect(await check(resumeTokens(`${older}x`)(ann, { id }))).toBeNull()
  })
})

it('a token that the server signs meets its own rules', async () => {
  const rules = { issuer: 'https://id.example', audience: ['landfall'], maxLifetimeMs: 3_600_000 }

  expect(await secretCheck(secret, rules)(await signToken(secret, ann, 3600, rules))).toEqual(ann)
})
