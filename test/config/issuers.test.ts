import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ConfigError, loadConfig } from '../../src/config.ts'

const secret = 'swordfish swordfish swordfish swordfish'
const usual = { name: 'example', issuer: 'https://issuer.example', audience: 'landfall' }
const pem = { type: 'spki', format: 'pem' } as const
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicKey = rsa.publicKey.export(pem) as string

describe('ISSUERS', () => {
  it('is empty unless somebody is named', () => {
    expect(loadConfig({}).ISSUERS).toEqual([])
  })

  it('says what it leaves out', () => {
    expect(read({ ...usual, secret })).toMatchObject([
      {
        claims: { user: 'sub', role: 'role', tenant: null, admin: null },
        audience: ['landfall'],
        clockTolerance: 5000,
      },
    ])
    expect(read({ ...usual, secret })[0]!.algorithms).toEqual(['HS256'])
    expect(read({ ...usual, publicKey: ec.publicKey.export(pem) })[0]!.algorithms).toEqual(['ES256'])
    expect(read({ ...usual, publicKey })[0]!.algorithms).toHaveLength(6)
    expect(read({ ...usual, jwksUrl: 'https://x.example/jwks' })[0]!.algorithms).not.toContain('HS256')
  })

  it('may stand in a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-issuers-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'issuers.json'), JSON.stringify([{ ...usual, secret }]))
    await writeFile(join(folder, 'broken.json'), `[{"secret":"${secret}`)

    expect(loadConfig({ ISSUERS: join(folder, 'issuers.json') }).ISSUERS).toHaveLength(1)
    expect(problemsOf(join(folder, 'broken.json'))).toEqual(['ISSUERS: the file does not hold JSON'])
    expect(problemsOf(join(folder, 'not-there.json'))).toEqual([
      'ISSUERS: expected a JSON list, or a file that holds one (ENOENT)',
    ])
  })

  const faults: [string, object | object[], string][] = [
    ['no key', usual, '0.name: expected exactly one of'],
    ['two keys', { ...usual, secret, publicKey }, '0.name: expected exactly one of'],
    ['no issuer', { name: 'x', audience: 'x', secret }, '0.issuer: '],
    ['an audience that nobody thought of', { name: 'x', issuer: 'x', secret }, '0.audience: expected a text'],
    ['a setting that is not there', { ...usual, secret, jwks: 'https://x' }, '0: Unrecognized key: "jwks"'],
    ['a claim that is not there', { ...usual, secret, claims: { email: 'x' } }, '0.claims: Unrecognized key: "email"'],
    ['a claim that is none', { ...usual, secret, claims: { role: [] } }, '0.claims.role: '],
    ['a short secret', { ...usual, secret: 'swordfish' }, '0.secret: expected at least 32 bytes'],
    ['a secret too short for its algorithm', { ...usual, secret, algorithms: ['HS512'] }, '0.algorithms: HS512 cannot'],
    ['no algorithm at all', { ...usual, secret, algorithms: ['none'] }, '0.algorithms.0: '],
    ['a public key as a secret', { ...usual, publicKey, algorithms: ['HS256'] }, '0.algorithms: HS256 cannot'],
    [
      'published keys as a secret',
      { ...usual, jwksUrl: 'https://x.example', algorithms: ['RS256', 'HS256'] },
      '0.algorithms: HS256 cannot',
    ],
    ['an algorithm of another key', { ...usual, publicKey, algorithms: ['ES256'] }, '0.algorithms: ES256 cannot'],
    [
      'a private key',
      { ...usual, publicKey: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
      '0.publicKey: expected a public key',
    ],
    [
      'a private JWK',
      { ...usual, publicKey: rsa.privateKey.export({ format: 'jwk' }) },
      '0.publicKey: expected a public key',
    ],
    [
      'a secret as a JWK',
      { ...usual, publicKey: { kty: 'oct', k: 'c3dvcmRmaXNo' } },
      '0.publicKey: expected a public key',
    ],
    ['a key that is none', { ...usual, publicKey: 'swordfish' }, '0.publicKey: expected a public key'],
    [
      'a weak key',
      { ...usual, publicKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(pem) },
      '0.publicKey: expected RSA of 2048 bits',
    ],
    [
      'a curve that is not used',
      { ...usual, publicKey: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export(pem) },
      '0.publicKey: expected RSA',
    ],
    ['keys over a readable wire', { ...usual, jwksUrl: 'http://x.example/jwks' }, '0.jwksUrl: expected an https URL'],
    [
      'a host that only sounds near',
      { ...usual, jwksUrl: 'http://127.0.0.1.x.example/jwks' },
      '0.jwksUrl: expected an https URL',
    ],
    [
      'keys with a password',
      { ...usual, jwksUrl: 'https://me:swordfish@x.example' },
      '0.jwksUrl: expected an https URL',
    ],
    ['keys in a file', { ...usual, jwksUrl: 'file:///etc/jwks' }, '0.jwksUrl: expected an https URL'],
    ['a duration that is none', { ...usual, secret, clockTolerance: 5 }, '0.clockTolerance: '],
    ['a role that is none', { ...usual, secret, roles: { pro: 'a creator' } }, '0.roles.pro: expected a role name'],
    ['users that would be keys', { ...usual, secret, userPrefix: 'key:' }, '0.userPrefix: expected'],
    [
      'two of one name',
      [
        { ...usual, secret },
        { ...usual, secret },
      ],
      '1.name: is the name of another issuer',
    ],
    [
      'two who could name the same user',
      [
        { ...usual, secret },
        { ...usual, name: 'b', issuer: 'b', secret },
      ],
      '1.userPrefix: could name the users of example',
    ],
    [
      'two of which one may name any tenant',
      [
        { ...usual, secret, tenant: 'a' },
        { ...usual, name: 'b', issuer: 'b', secret, claims: { tenant: 'org' } },
      ],
      '1.userPrefix: could name',
    ],
    ['no list', { ...usual, secret }, 'expected a JSON list'],
  ]
  it.each(faults)('is refused with its place: %s', (what, setting, problem) => {
    const list = Array.isArray(setting) ? setting : [setting]
    const problems = problemsOf(JSON.stringify(what === 'no list' ? setting : list))

    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`ISSUERS: ${problem}`)
    expect(problems[0]).not.toMatch(/swordfish|c3dvcmRmaXNo|PRIVATE/)
  })

  it('tells every fault at once', () => {
    expect(
      problemsOf(
        JSON.stringify([
          { name: '!', audience: 7 },
          { ...usual, maxTokenBytes: 1 },
        ]),
      ).length,
    ).toBeGreaterThan(3)
  })

  it.each([
    ['another prefix', { userPrefix: 'a:' }, { userPrefix: 'b:' }],
    ['a prefix that only one has', {}, { userPrefix: 'b:' }],
    ['another tenant', { tenant: 'a' }, { tenant: 'b' }],
  ])('may name several issuers whose users differ by %s', (_what, one, two) => {
    expect(read({ ...usual, secret, ...one }, { ...usual, name: 'b', issuer: 'b', secret, ...two })).toHaveLength(2)
  })

  it.each(['http://localhost:8080/jwks', 'http://127.0.0.1/jwks', 'http://[::1]:9/jwks'])(
    'may fetch keys from this machine as they are: %s',
    (jwksUrl) => {
      expect(read({ ...usual, jwksUrl })[0]!.keys).toMatchObject({ kind: 'remote' })
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
