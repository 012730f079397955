import { randomBytes } from 'node:crypto'
import { type CryptoKey, exportSPKI, importJWK, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config.ts'
import { userOf } from '../../../src/core/upload.ts'
import { publicAlgorithms, sharedAlgorithms } from '../../../src/http/identity/issuer.ts'
import { issuersCheck } from '../../../src/http/identity/issuers.ts'
import { issuerOf, makeKey, type SigningKey, startProvider, tokenOf } from '../../support/issuer.ts'

const secret = randomBytes(64).toString('base64url')
const hmac = { alg: 'HS256', privateKey: Buffer.from(secret) }
const rsa = await makeKey('RS256')

const check = (setting: Record<string, unknown>) => issuersCheck([issuerOf(setting)])
const bySecret = (setting: Record<string, unknown> = {}) => check({ secret, ...setting })
const nowSeconds = () => Math.floor(Date.now() / 1000)

async function pemOf({ jwk }: SigningKey): Promise<string> {
  return exportSPKI((await importJWK(jwk, jwk.alg)) as CryptoKey)
}

describe('every algorithm', () => {
  it.each(publicAlgorithms)('%s is verified by PEM, by JWK and by JWKS', async (alg) => {
    const key = await makeKey(alg)
    const provider = await startProvider(key)
    const ways = [{ publicKey: await pemOf(key) }, { publicKey: key.jwk }, { jwksUrl: provider.url }]

    for (const way of ways) {
      const verify = check({ ...way, algorithms: [alg] })
      expect(await verify(await tokenOf(key))).toEqual(userOf('ann', 'member'))
      const forged = await makeKey(alg)
      await expect(verify(await tokenOf({ ...forged, kid: key.kid }))).rejects.toMatchObject({ status: 401 })
    }
  })

  it.each(sharedAlgorithms)('%s is verified by a secret', async (alg) => {
    const verify = bySecret({ algorithms: [alg] })

    expect(await verify(await tokenOf({ ...hmac, alg }))).toEqual(userOf('ann', 'member'))
    await expect(verify(await tokenOf({ alg, privateKey: randomBytes(64) }))).rejects.toMatchObject({ status: 401 })
  })
})

describe('a token is refused', () => {
  const refused: [string, Record<string, unknown>, string][] = [
    ['with another audience', { aud: 'another' }, 'The token was not issued for this server (aud).'],
    ['without an audience', { aud: undefined }, 'The token was not issued for this server (aud).'],
    ['after it has expired', { exp: nowSeconds() - 60 }, 'The token has expired.'],
    ['without an exp', { exp: undefined }, 'The token is not valid.'],
    ['before its nbf', { nbf: nowSeconds() + 3600 }, 'The token is not valid yet.'],
    ['with an exp that is not a number', { exp: 'tomorrow' }, 'The token is not valid.'],
    ['that names no user', { sub: undefined }, 'The token does not say who you are.'],
    ['whose user is a list', { sub: ['ann'] }, 'The token does not say who you are.'],
    ['whose user has a line break', { sub: 'ann\nbob' }, 'The token does not say who you are.'],
    ['whose user has the prefix of API keys', { sub: 'key:1' }, 'The token does not say who you are.'],
  ]
  it.each(refused)('%s', async (_what, claims, message) => {
    const token = await tokenOf(hmac, claims)

    await expect(bySecret()(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message })
  })

  it('when it is longer than maxTokenBytes of the issuer', async () => {
    const token = await tokenOf(hmac, { padding: 'x'.repeat(1000) })

    expect(await bySecret()(token)).toEqual(userOf('ann', 'member'))
    await expect(bySecret({ maxTokenBytes: 1000 })(token)).rejects.toMatchObject({
      status: 401,
      message: 'The token is too long.',
    })
  })

  it('when it has a critical header that the server does not support', async () => {
    const header = { crit: ['exp-hard'], 'exp-hard': true }
    const sign = new SignJWT({ iss: 'https://issuer.example', aud: 'landfall', sub: 'ann', role: 'member' })
    const token = await sign
      .setProtectedHeader({ alg: 'HS256', ...header })
      .setExpirationTime('1m')
      .sign(hmac.privateKey, { crit: { 'exp-hard': true } })

    await expect(bySecret()(token)).rejects.toMatchObject({ status: 401, message: 'The token is not valid.' })
  })

  it('when it is signed with the public key as an HMAC secret', async () => {
    const pem = await pemOf(rsa)
    const forgingKeys = [
      { alg: 'HS256', privateKey: Buffer.from(pem) },
      { alg: 'HS256', privateKey: Buffer.from(JSON.stringify(rsa.jwk)) },
    ]
    const provider = await startProvider(rsa)

    for (const key of forgingKeys) {
      for (const way of [{ publicKey: pem }, { publicKey: rsa.jwk }, { jwksUrl: provider.url }]) {
        await expect(check(way)(await tokenOf({ ...key, kid: rsa.kid }))).rejects.toMatchObject({ status: 401 })
      }
    }
  })

  it.each(['none', 'None', 'nOnE', '', 'HS999', 'RS256'])('when its header names the algorithm "%s"', async (alg) => {
    const [, payload, signature] = (await tokenOf(hmac)).split('.')
    const header = Buffer.from(JSON.stringify({ alg })).toString('base64url')

    for (const sent of [`${header}.${payload}.`, `${header}.${payload}.${signature}`]) {
      await expect(bySecret()(sent)).rejects.toMatchObject({ status: 401 })
    }
  })

  it('when its algorithm is not one of the configured ones', async () => {
    const verify = check({ publicKey: rsa.jwk, algorithms: ['RS512'] })

    await expect(verify(await tokenOf(rsa))).rejects.toMatchObject({ status: 401 })
  })

  it('when it is signed with a key in its own header', async () => {
    const own = await makeKey('RS256')
    const provider = await startProvider(rsa)
    const token = await tokenOf(own, {}, { jwk: own.jwk, jku: provider.url, kid: rsa.kid })

    await expect(check({ jwksUrl: provider.url })(token)).rejects.toMatchObject({ status: 401 })
  })

  it('without any of its text in the error', async () => {
    const thrown = await bySecret()(await tokenOf(hmac, { aud: 'swordfish' })).catch((error) => error)

    expect(JSON.stringify({ ...thrown, message: thrown.message, cause: String(thrown.cause) })).not.toMatch(
      /swordfish|eyJ/,
    )
  })
})

it('clocks may differ by as much as clockTolerance', async () => {
  const verify = bySecret({ clockTolerance: '60s' })

  expect(await verify(await tokenOf(hmac, { exp: nowSeconds() - 30, nbf: nowSeconds() + 30 }))).toEqual(
    userOf('ann', 'member'),
  )
  await expect(verify(await tokenOf(hmac, { exp: nowSeconds() - 90 }))).rejects.toMatchObject({ status: 401 })
})

it('tokens without an audience are accepted only if the setting allows it', async () => {
  expect(await bySecret({ audience: null })(await tokenOf(hmac, { aud: undefined }))).toEqual(userOf('ann', 'member'))
  expect(await bySecret({ audience: ['a', 'b'] })(await tokenOf(hmac, { aud: ['x', 'b'] }))).toEqual(
    userOf('ann', 'member'),
  )
})

describe('several issuers', () => {
  const other = randomBytes(64).toString('base64url')
  const both = issuersCheck([
    issuerOf({ secret }),
    issuerOf({ name: 'other', issuer: 'https://other.example', secret: other, userPrefix: 'other:' }),
    issuerOf({
      name: 'desktop',
      audience: 'desktop',
      secret,
      defaultRole: 'subscriber',
      claims: { role: 'x' },
    }),
  ])

  it('each authenticate their own users', async () => {
    const foreign = { alg: 'HS256', privateKey: Buffer.from(other) }

    expect(await both(await tokenOf(hmac))).toEqual(userOf('ann', 'member'))
    expect(await both(await tokenOf(foreign, { iss: 'https://other.example' }))).toEqual(userOf('other:ann', 'member'))
    await expect(both(await tokenOf(foreign))).rejects.toMatchObject({ status: 401 })
  })

  it('cannot name each other’s users with a prefix', async () => {
    const byConfig = loadConfig({
      ISSUERS: JSON.stringify([
        { name: 'a', issuer: 'https://issuer.example', audience: 'landfall', secret },
        { name: 'b', issuer: 'https://b.example', audience: 'landfall', secret: other, userPrefix: 'b:' },
      ]),
    }).ISSUERS
    const verify = issuersCheck(byConfig)

    expect(await verify(await tokenOf(hmac, { sub: 'b.ann' }))).toEqual(userOf('b.ann', 'member'))
    await expect(verify(await tokenOf(hmac, { sub: 'b:ann' }))).rejects.toMatchObject({ status: 401 })
  })

  it('may be the same issuer with two audiences', async () => {
    expect(await both(await tokenOf(hmac, { aud: 'desktop' }))).toEqual(userOf('ann', 'subscriber'))
  })

  it('leave a token of another issuer to the next check', async () => {
    for (const iss of ['https://issuer.example/', 'https://ISSUER.example', undefined, 7])
      expect(await both(await tokenOf(hmac, { iss }))).toBeNull()
    for (const nonsense of ['', 'lf_abc', 'a.b', 'a.b.c', 'a.b.c.d.e', `${'a'.repeat(100)}.${'!'.repeat(9)}.x`])
      expect(await both(nonsense)).toBeNull()
  })
})

describe('claims are read as the settings say', () => {
  const keycloak = {
    claims: { role: 'realm_access.roles' },
    roles: { admin: 'creator', pro: 'creator', basic: 'member' },
  }
  const auth0 = { claims: { role: 'https://x.example/role', tenant: ['https://x.example/app', 'org.id'] } }
  const read: [string, Record<string, unknown>, Record<string, unknown>, object][] = [
    ['a role in a nested claim', keycloak, { realm_access: { roles: ['offline', 'basic'] } }, userOf('ann', 'member')],
    ['the first role of the map', keycloak, { realm_access: { roles: ['basic', 'pro'] } }, userOf('ann', 'creator')],
    [
      'a role and a tenant under names with dots',
      auth0,
      { 'https://x.example/role': 'creator', 'https://x.example/app': { 'org.id': 7 } },
      userOf('ann', 'creator', { tenant: '7' }),
    ],
    ['a list of one role', {}, { role: ['creator'] }, userOf('ann', 'creator')],
    [
      'words of a scope',
      { claims: { role: 'scope' }, roles: { 'upload:all': 'creator' } },
      { scope: 'openid upload:all' },
      userOf('ann', 'creator'),
    ],
    ['a default role', { defaultRole: 'subscriber' }, { role: undefined }, userOf('ann', 'subscriber')],
    [
      'a default role instead of one that is not mapped',
      { defaultRole: 'subscriber', roles: { pro: 'creator' } },
      { role: 'creator' },
      userOf('ann', 'subscriber'),
    ],
    [
      'a user by another claim',
      { claims: { user: 'email' } },
      { email: 'ann@x.example' },
      userOf('ann@x.example', 'member'),
    ],
    ['a user with a number', { claims: { user: 'uid' } }, { uid: 42 }, userOf('42', 'member')],
    [
      'a fixed tenant of the issuer',
      { tenant: 'acme' },
      { tenant: 'globex' },
      userOf('ann', 'member', { tenant: 'acme' }),
    ],
    [
      'a fixed tenant if the claim is empty',
      { tenant: 'acme', claims: { tenant: 'org' } },
      { org: '' },
      userOf('ann', 'member', { tenant: 'acme' }),
    ],
    [
      'an admin by a flag',
      { claims: { admin: 'https://x.example/admin' } },
      { 'https://x.example/admin': true },
      userOf('ann', 'member', { isAdmin: true }),
    ],
    [
      'an admin by a role',
      { claims: { admin: 'groups' }, adminValues: ['ops'] },
      { groups: ['dev', 'ops'] },
      userOf('ann', 'member', { isAdmin: true }),
    ],
    [
      'no admin by a value that is not configured',
      { claims: { admin: 'groups' } },
      { groups: ['true', 'ops'] },
      userOf('ann', 'member'),
    ],
    ['no admin by a claim that is not configured', {}, { admin: true, isAdmin: true }, userOf('ann', 'member')],
  ]
  it.each(read)('%s', async (_what, setting, claims, actor) => {
    expect(await bySecret(setting)(await tokenOf(hmac, claims))).toEqual(actor)
  })

  const roleless: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ['none', {}, { role: undefined }],
    ['several and no map of roles', {}, { role: ['member', 'creator'] }],
    ['none that the map contains', { roles: { pro: 'creator' } }, { role: 'creator' }],
    ['the name of an inherited property', { roles: { pro: 'creator' } }, { role: 'constructor' }],
    ['a path into the prototype', { claims: { role: '__proto__.constructor.name' } }, {}],
  ]
  it.each(roleless)('a user without a role is refused: %s', async (_what, setting, claims) => {
    await expect(bySecret(setting)(await tokenOf(hmac, claims))).rejects.toMatchObject({ code: 'ROLE_NOT_ALLOWED' })
  })

  it('a tenant that is not text is refused and not taken for no tenant', async () => {
    const verify = bySecret({ claims: { tenant: 'org' } })

    await expect(verify(await tokenOf(hmac, { org: { id: 'acme' } }))).rejects.toMatchObject({ status: 401 })
  })
})
