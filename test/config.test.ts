import { describe, expect, it } from 'vitest'
import { renderEnvExample } from '../src/config/env-example.ts'
import { ConfigError, loadConfig } from '../src/config.ts'
import { defaultPolicies } from '../src/core/policy/policy.ts'
import { storeNames } from '../src/stores/index.ts'

const secret = 'a secret that is long enough for HS256'

describe('the configuration', () => {
  it('needs nothing in development mode', () => {
    const config = loadConfig({})

    expect(config).toMatchObject({ isDevelopment: true, PORT: 1080, STORE: 'local', PART_SIZE: 8 * 1024 ** 2 })
    expect(config.POLICIES).toEqual(defaultPolicies)
    expect(config.DATABASE_URL).toBeUndefined()
    expect(config.MEMORY_BUDGET).toBeGreaterThan(0)
  })

  it('reports everything that production lacks at once', () => {
    const problems = problemsOf({ NODE_ENV: 'production', STORE: 's3', PORT: 'high', PART_SIZE: '8 potatoes' })

    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'DATABASE_URL',
      'JWT_SECRET',
      'S3_BUCKET',
      'PORT',
      'PART_SIZE',
    ])
  })

  it('accepts blanks around the word production', () => {
    expect(problemsOf({ NODE_ENV: 'production\r' })).toHaveLength(2)
    expect(
      loadConfig({ NODE_ENV: ' production', DATABASE_URL: 'postgres://db/files', JWT_SECRET: secret }).isDevelopment,
    ).toBe(false)
  })

  it('treats an empty variable as not set', () => {
    const config = loadConfig({ PORT: '', DATABASE_URL: ' ', NODE_ENV: '' })

    expect(config.PORT).toBe(1080)
    expect(config.DATABASE_URL).toBeUndefined()
  })

  it.each(['prod', 'Production', 'PRODUCTION', 'staging', 'live', 'dev', 'production;', 'true'])(
    'refuses NODE_ENV=%s and says what is allowed',
    (word) => {
      const service = { DATABASE_URL: 'postgres://db/files', JWT_SECRET: secret }

      for (const more of [{}, service])
        expect(problemsOf({ NODE_ENV: word, ...more })).toEqual(['NODE_ENV: expected production, development or test'])
    },
  )

  it.each([undefined, '', 'development', ' development', 'test'])(
    'refuses the settings of a service in development mode: NODE_ENV=%s',
    (word) => {
      for (const service of [{ DATABASE_URL: 'postgres://db/files' }, { JWT_SECRET: secret }])
        expect(problemsOf({ NODE_ENV: word, ...service })).toEqual([
          expect.stringMatching(/^NODE_ENV: .* set NODE_ENV=production .* remove (DATABASE_URL|JWT_SECRET)$/),
        ])
    },
  )

  it('is in development mode for automated tests too', () => {
    expect(loadConfig({ NODE_ENV: 'test' }).isDevelopment).toBe(true)
  })

  it.each([
    ['PORT', '70000', 'PORT: expected a whole number from 0 to 65535'],
    ['PORT', 'high', 'PORT: expected a whole number from 0 to 65535'],
    ['DATABASE_POOL', '1.5', 'DATABASE_POOL: expected a whole number from 1 to 1000'],
    ['STORE', 'ftp', `STORE: expected ${storeNames.join(', ')}`],
    ['LOG_FORMAT', 'xml', 'LOG_FORMAT: expected auto, json, text'],
  ])('says what is expected instead of %s=%s', (name, text, problem) => {
    expect(problemsOf({ [name]: text })).toEqual([problem])
  })

  it('never quotes a secret in a problem', () => {
    expect(problemsOf({ JWT_SECRET: 'swordfish' }).join()).not.toContain('swordfish')
  })

  it.each([
    ['PART_SIZE', '10GiB', 10 * 1024 ** 3],
    ['PART_SIZE', '1.5 mib', 1.5 * 1024 ** 2],
    ['MEMORY_BUDGET', '100MB', 100e6],
    ['LEASE_TTL', '90s', 90_000],
    ['LOCK_WAIT', '250ms', 250],
    ['BODY_IDLE_TIMEOUT', '24h', 86_400_000],
    ['PUBLIC_URL', 'https://up.example/landfall/', 'https://up.example/landfall'],
    ['TRUST_PROXY', 'true', true],
    ['TRUST_PROXY', '10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
    ['CORS_ORIGINS', 'https://a.example, http://localhost:5173', ['https://a.example', 'http://localhost:5173']],
    ['S3_FORCE_PATH_STYLE', 'false', false],
  ])('reads %s=%s', (name, text, value) => {
    expect(loadConfig({ [name]: text })).toHaveProperty(name, value)
  })

  it.each([
    ['DATABASE_URL', 'mysql://localhost/files'],
    ['JWT_SECRET', 'short'],
  ])('refuses %s=%s of a service', (name, text) => {
    const service = { NODE_ENV: 'production', DATABASE_URL: 'postgres://db/files', JWT_SECRET: secret }

    expect(problemsOf({ ...service, [name]: text })).toEqual([expect.stringMatching(`^${name}: `)])
  })

  it.each([
    ['PORT', '70000'],
    ['PORT', '80a'],
    ['PART_SIZE', '8'],
    ['PART_SIZE', '-8MiB'],
    ['LEASE_TTL', '30'],
    ['LEASE_TTL', '0s'],
    ['HEADERS_TIMEOUT', '0s'],
    ['HOOK_TIMEOUT', '0s'],
    ['MEMORY_BUDGET', '0'],
    ['PUBLIC_URL', 'up.example'],
    ['PUBLIC_URL', 'https://up.example/?a=1'],
    ['TRUST_PROXY', 'yes'],
    ['TRUST_PROXY', '2'],
    ['TRUST_PROXY', '10.0.0.0/64'],
    ['CORS_ORIGINS', 'https://a.example/'],
    ['S3_FORCE_PATH_STYLE', 'maybe'],
    ['KEY_TEMPLATE', '{role}/{name}'],
    ['STORE', 'tape'],
    ['LOG_LEVEL', 'loud'],
  ])('refuses %s=%s', (name, text) => {
    expect(problemsOf({ [name]: text })).toEqual([expect.stringMatching(`^${name}: `)])
  })

  // Timers of Node are limited to 24.8 days; a longer one would fire at once.
  it.each(['HOOK_TIMEOUT', 'FINISH_WAIT', 'LOCK_WAIT', 'LEASE_TTL', 'DRAIN_TIMEOUT', 'DATABASE_TIMEOUT'])(
    'refuses a %s that exceeds the limit of timers',
    (name) => {
      expect(problemsOf({ [name]: '90d' })).toEqual([expect.stringMatching(`^${name}: `)])
    },
  )

  it.each(['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'])('refuses %s without the other one', (name) => {
    expect(problemsOf({ STORE: 's3', S3_BUCKET: 'files', [name]: 'half' })).toHaveLength(1)
  })

  it('refuses a public bucket with a scanner', () => {
    const s3 = { STORE: 's3', S3_BUCKET: 'files', S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'key' }
    const isPublic = { ...s3, S3_PUBLIC_URL: 'https://files.example' }

    expect(problemsOf({ ...isPublic, SCANNER: 'clamd://av' })).toEqual([expect.stringMatching('^S3_PUBLIC_URL: ')])
    expect(problemsOf(isPublic)).toEqual([])
    expect(problemsOf({ ...s3, SCANNER: 'clamd://av' })).toEqual([])
  })

  it('refuses parts that S3 would refuse', () => {
    const s3 = { STORE: 's3', S3_BUCKET: 'files', S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'key' }

    expect(loadConfig({ ...s3, PART_SIZE: '5MiB' }).PART_SIZE).toBe(5 * 1024 ** 2)
    expect(problemsOf({ ...s3, PART_SIZE: '4MiB' })).toHaveLength(1)
  })
})

describe('the setting POLICIES', () => {
  it('changes the fields of built-in roles that it sets, and no others', () => {
    const { POLICIES } = loadConfig({ POLICIES: '{"member":{"maxSize":"5GiB","timeToLive":"7d"}}' })

    expect(POLICIES.roles.member).toEqual({
      ...defaultPolicies.roles.member,
      maxSize: 5 * 1024 ** 3,
      timeToLiveMs: 7 * 86_400_000,
    })
    expect(POLICIES.roles.subscriber).toEqual(defaultPolicies.roles.subscriber)
  })

  it('adds a role with all required fields, and removes one', () => {
    const press = { maxSize: '1GiB', mediaTypes: ['image/*'], categories: ['image'], timeToLive: '1d' }

    const { POLICIES } = loadConfig({ POLICIES: JSON.stringify({ press, subscriber: null }) })

    expect(Object.keys(POLICIES.roles)).toEqual(['creator', 'member', 'press'])
  })

  it.each([
    'not json',
    '[]',
    '{"press":{"maxSize":"1GiB"}}',
    '{"member":{"maxsize":"1GiB"}}',
    '{"member":{"categories":["pictures"]}}',
    '{"member":{"maxSize":"much"}}',
    '{"../up":null}',
  ])('refuses %s', (text) => {
    expect(problemsOf({ POLICIES: text })).toEqual([expect.stringMatching('^POLICIES: ')])
  })
})

it('.env.example has every setting', async () => {
  await expect(renderEnvExample()).toMatchFileSnapshot('../.env.example')
})

function problemsOf(env: Record<string, string | undefined>): string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}
