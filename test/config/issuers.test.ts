import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ConfigError, loadConfig } from '../../src/config.ts'

const secret = 'swordfish swordfish swordfish swordfish'
const base = { name: 'example', issuer: 'https://issuer.example', audience: 'landfall' }
const pem = { type: 'spki', format: 'pem' } as const
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicKey = rsa.publicKey.export(pem) as string

describe('ISSUERS', () => {
  it('is empty by default', () => {
    expect(loadConfig({}).ISSUERS).toEqual([])
  })

  it('fills in defaults', () => {
    expect(read({ ...base, secret })).toMatchObject([
      {
        claims: { user: 'sub', role: 'role', tenant: null, admin: null },
        audience: ['landfall'],
        clockTolerance: 5000,
      },
    ])
    expect(read({ ...base, secret })[0]!.algorithms).toEqual(['HS256'])
    expect(read({ ...base, publicKey: ec.publicKey.export(pem) })[0]!.algorithms).toEqual(['ES256'])
    expect(read({ ...base, publicKey })[0]!.algorithms).toHaveLength(6)
    expect(read({ ...base, jwksUrl: 'https://x.example/jwks' })[0]!.algorithms).not.toContain('HS256')
  })

  it('may be the path of a JSON file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-issuers-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'issuers.json'), JSON.stringify([{ ...base, secret }]))
    await writeFile(join(folder, 'broken.json'), `[{"secret":"${secret}`)

    expect(loadConfig({ ISSUERS: join(folder, 'issuers.json') }).ISSUERS).toHaveLength(1)
    expect(problemsOf(join(folder, 'broken.json'))).toEqual(['ISSUERS: the file does not hold JSON'])
    expect(problemsOf(join(folder, 'not-there.json'))).toEqual([
      'ISSUERS: expected a JSON list, or a file that holds one (ENOENT)',
    ])
  })

  const invalid: [string, object | object[], string][] = [
    ['no key', base, '0.name: expected exactly one of'],
    ['two keys', { ...base, secret, publicKey }, '0.name: expected exactly one of'],
    ['no issuer', { name: 'x', audience: 'x', secret }, '0.issuer: '],
    ['no audience', { name: 'x', issuer: 'x', secret }, '0.audience: expected a text'],
    ['an unknown field', { ...base, secret, jwks: 'https://x' }, '0: Unrecognized key: "jwks"'],
    ['an unknown claim', { ...base, secret, claims: { email: 'x' } }, '0.claims: Unrecognized key: "email"'],
    ['an invalid claim', { ...base, secret, claims: { role: [] } }, '0.claims.role: '],
    ['a short secret', { ...base, secret: 'swordfish' }, '0.secret: expected at least 32 bytes'],
    ['a secret too short for its algorithm', { ...base, secret, algorithms: ['HS512'] }, '0.algorithms: HS512 cannot'],
    ['the algorithm none', { ...base, secret, algorithms: ['none'] }, '0.algorithms.0: '],
    ['a public key as a secret', { ...base, publicKey, algorithms: ['HS256'] }, '0.algorithms: HS256 cannot'],
    [
      'published keys as a secret',
      { ...base, jwksUrl: 'https://x.example', algorithms: ['RS256', 'HS256'] },
      '0.algorithms: HS256 cannot',
    ],
    ['an algorithm of another key', { ...base, publicKey, algorithms: ['ES256'] }, '0.algorithms: ES256 cannot'],
    [
      'a private key',
      { ...base, publicKey: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
      '0.publicKey: expected a public key',
    ],
    [
      'a private JWK',
      { ...base, publicKey: rsa.privateKey.export({ format: 'jwk' }) },
      '0.publicKey: expected a public key',
    ],
    [
      'a secret as a JWK',
      { ...base, publicKey: { kty: 'oct', k: 'c3dvcmRmaXNo' } },
      '0.publicKey: expected a public key',
    ],
    ['an invalid key', { ...base, publicKey: 'swordfish' }, '0.publicKey: expected a public key'],
    [
      'a weak key',
      { ...base, publicKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(pem) },
      '0.publicKey: expected RSA of 2048 bits',
    ],
    [
      'an unsupported curve',
      { ...base, publicKey: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export(pem) },
      '0.publicKey: expected RSA',
    ],
    ['a JWKS URL without TLS', { ...base, jwksUrl: 'http://x.example/jwks' }, '0.jwksUrl: expected an https URL'],
    [
      'a host that only looks like localhost',
      { ...base, jwksUrl: 'http://127.0.0.1.x.example/jwks' },
      '0.jwksUrl: expected an https URL',
    ],
    [
      'a JWKS URL with a password',
      { ...base, jwksUrl: 'https://me:swordfish@x.example' },
      '0.jwksUrl: expected an https URL',
    ],
    ['a JWKS URL of a file', { ...base, jwksUrl: 'file:///etc/jwks' }, '0.jwksUrl: expected an https URL'],
    ['an invalid duration', { ...base, secret, clockTolerance: 5 }, '0.clockTolerance: '],
    ['an invalid role name', { ...base, secret, roles: { pro: 'a creator' } }, '0.roles.pro: expected a role name'],
    ['a user prefix of API keys', { ...base, secret, userPrefix: 'key:' }, '0.userPrefix: expected'],
    [
      'two issuers of the same name',
      [
        { ...base, secret },
        { ...base, secret },
      ],
      '1.name: is the name of another issuer',
    ],
    [
      'two issuers that could name the same user',
      [
        { ...base, secret },
        { ...base, name: 'b', issuer: 'b', secret },
      ],
      '1.userPrefix: could name the users of example',
    ],
    [
      'two issuers of which one may name any tenant',
      [
        { ...base, secret, tenant: 'a' },
        { ...base, name: 'b', issuer: 'b', secret, claims: { tenant: 'org' } },
      ],
      '1.userPrefix: could name',
    ],
    ['no list', { ...base, secret }, 'expected a JSON list'],
  ]
  it.each(invalid)('is refused with the path of the problem: %s', (what, setting, problem) => {
    const list = Array.isArray(setting) ? setting : [setting]
    const problems = problemsOf(JSON.stringify(what === 'no list' ? setting : list))

    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`ISSUERS: ${problem}`)
    expect(problems[0]).not.toMatch(/swordfish|c3dvcmRmaXNo|PRIVATE/)
  })

  it('reports every problem at once', () => {
    expect(
      problemsOf(
        JSON.stringify([
          { name: '!', audience: 7 },
          { ...base, maxTokenBytes: 1 },
        ]),
      ).length,
    ).toBeGreaterThan(3)
  })

  it.each([
    ['another prefix', { userPrefix: 'a:' }, { userPrefix: 'b:' }],
    ['a prefix of one of them', {}, { userPrefix: 'b:' }],
    ['another tenant', { tenant: 'a' }, { tenant: 'b' }],
  ])('may have several issuers whose users differ by %s', (_what, one, two) => {
    expect(read({ ...base, secret, ...one }, { ...base, name: 'b', issuer: 'b', secret, ...two })).toHaveLength(2)
  })

  it.each(['http://localhost:8080/jwks', 'http://127.0.0.1/jwks', 'http://[::1]:9/jwks'])(
    'may fetch keys from this machine without TLS: %s',
    (jwksUrl) => {
      expect(read({ ...base, jwksUrl })[0]!.keys).toMatchObject({ kind: 'remote' })
    },
  )
})

function read(...list: object[]) {
  return loadConfig({ ISSUERS: JSON.stringify(list) }).ISSUERS
}

function problemsOf(text: string): string[] {
  try {
    loadConfig({ ISSUERS: text })
    return []
  } catch (thrown) {
    return (thrown as ConfigError).problems
  }
}
