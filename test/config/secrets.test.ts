import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { secretsIn, weaknessOf } from '../../src/config/secrets.ts'
import { ConfigError, loadConfig } from '../../src/config.ts'

const good = 'k7Qp2vXz9LrT4mWc8NbJ6yHd3FsG5aEu'
const production = { NODE_ENV: 'production', DATABASE_URL: 'postgres://db/files' }

describe('a token secret that can be guessed', () => {
  it.each([
    'a'.repeat(32),
    'A'.repeat(64),
    '0'.repeat(32),
    'ab'.repeat(20),
    'abc123'.repeat(6),
    '0123456789abcdef'.repeat(2),
    'YWFh'.repeat(11),
    'abcdefghijklmnopqrstuvwxyz012345',
    'ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF',
    'zyxwvutsrqponmlkjihgfedcba987654',
    '12345678901234567890123456789012',
    'qwertyuiopasdfghjklzxcvbnmqwerty',
    `${'a'.repeat(30)}bc`,
    'changeme-changeme-changeme-changeme!',
    'changemechangemechangemechangem3',
    'CHANGE_ME_PLEASE_CHANGE_ME_IN_PRODUCTION',
    'please-change-this-secret-in-production',
    'this-is-my-super-secret-jwt-key-please-replace',
    'my super secret password for the jwt token 123456',
    'supersecretsupersecretpassword12',
    'p4ssw0rd-p4ssword-passw0rd-secret',
    'your-256-bit-secret-goes-here-your-256',
    'your_jwt_secret_key_minimum_32_characters_long',
    'insecure-development-secret-insecure-dev',
    'only-for-trying-out-0123456789abcdef',
    'Only-For-Trying-Out-0123456789ABCDEF',
    'super-secret-jwt-token-with-at-least-32-characters-long',
    'a-string-secret-at-least-256-bits-long',
  ])('is refused in production: %s', (secret) => {
    expect(() => loadConfig({ ...production, JWT_SECRET: secret })).toThrow(/JWT_SECRET: the secret .*openssl rand/)
  })

  it('is not quoted in the error', () => {
    expect(() => loadConfig({ ...production, JWT_SECRET: 'changeme-changeme-changeme-changeme!' })).not.toThrow(
      /changeme/,
    )
  })

  it('is refused also when it only verifies', () => {
    const load = () => loadConfig({ ...production, JWT_SECRET: `${good},${'b'.repeat(32)}` })

    expect(load).toThrow(ConfigError)
    expect(load).toThrow('JWT_SECRET: the 2. secret repeats itself')
  })
})

describe('a random token secret', () => {
  it.each(['base64', 'base64url', 'hex'] as const)('in %s is accepted, a thousand times', (encoding) => {
    for (let n = 0; n < 1000; n += 1) {
      const secret = randomBytes(encoding === 'hex' ? 16 : 24).toString(encoding)
      expect(weaknessOf(secret), secret).toBeNull()
    }
  })

  it('is accepted as a phrase of uncommon words', () => {
    expect(weaknessOf('gravel-hoist-mumble-otter-plinth-vexed-quorum')).toBeNull()
  })
})

describe('several token secrets', () => {
  it('are separated by commas, the one that signs first', () => {
    const { JWT_SECRET } = loadConfig({ ...production, JWT_SECRET: `${good}, ${good.toLowerCase()} ` })

    expect(secretsIn(JWT_SECRET!)).toEqual([good, good.toLowerCase()])
  })

  it.each([`${good},short`, `short,${good}`, ','])('must each have 32 bytes: %s', (list) => {
    expect(() => loadConfig({ ...production, JWT_SECRET: list })).toThrow('JWT_SECRET: expected at least 32 bytes')
  })
})
