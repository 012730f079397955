import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { effectiveSettings } from '../../src/config/effective.ts'
import { renderEnvExample } from '../../src/config/env-example.ts'
import { userOf } from '../../src/core/upload.ts'
import { openDatabase } from '../../src/db/open.ts'
import { sealAudit } from '../../src/features/audit/chain.ts'
import { findAudit } from '../../src/features/audit/log.ts'
import { secretCheck } from '../../src/http/identity/secret.ts'
import { freshDatabase } from '../support/postgres.ts'

const secret = 'a secret that is long enough for HS256'

afterEach(() => vi.unstubAllEnvs())

it('prints a token that the server accepts', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', 'postgres://elsewhere/landfall')
  vi.stubEnv('JWT_SECRET', secret)

  const [token = ''] = await run('token', '--user', 'zoe', '--role', 'member', '--ttl', '1h')

  expect(await secretCheck(secret)(token)).toEqual(userOf('zoe', 'member'))
  expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
    exp: expect.closeTo(Date.now() / 1000 + 3600, -2),
  })
})

it('prints a token of an admin of a tenant', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', 'postgres://elsewhere/landfall')
  vi.stubEnv('JWT_SECRET', secret)

  const [token = ''] = await run('token', '-u', 'zoe', '-r', 'member', '--tenant', 'acme', '--admin')

  expect(await secretCheck(secret)(token)).toEqual(userOf('zoe', 'member', { tenant: 'acme', isAdmin: true }))
})

it.each([
  ['an unknown role', ['token', '--user', 'zoe', '--role', 'king'], /creator, member, subscriber/],
  ['an invalid duration', ['token', '--user', 'zoe', '--role', 'member', '--ttl', 'long'], /such as 24h/],
  ['an empty user', ['token', '--user', '', '--role', 'member'], /user/],
  ['a missing user', ['token', '--role', 'member'], /--user/],
])('prints no token for %s', async (_what, args, message) => {
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', 'postgres://elsewhere/landfall')
  vi.stubEnv('JWT_SECRET', secret)

  await expect(run(...args)).rejects.toThrow(message)
})

it('prints what is wrong with the configuration', async () => {
  vi.stubEnv('PORT', 'high')

  await expect(run('check')).rejects.toThrow('PORT')
})

it('prints the quotas of each role, and warns of a role without one', async () => {
  vi.stubEnv('POLICIES', '{"member":{"bytesPerDay":null,"totalBytes":null}}')

  const lines = await run('check')

  expect(lines.slice(1)).toEqual([
    expect.stringMatching(/^a creator may send 10 GiB a file, 2000 uploads at once, 500 GiB a day, .* 2 TiB in all$/),
    expect.stringMatching(/^a member may send .* any number of bytes in all .*set bytesPerDay or totalBytes\)$/),
    expect.stringMatching(/^a subscriber may send 200 MiB a file, 100 uploads at once, 5 GiB a day, .* 20 GiB in all$/),
  ])
})

it('prints every setting with its description', async () => {
  expect(await run('config', '--example')).toEqual([renderEnvExample()])
})

it('prints the effective settings and their sources, without secrets', async () => {
  const settings = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://ann:swordfish@db/files?sslpassword=swordfish',
    JWT_SECRET: secret,
    S3_SECRET_ACCESS_KEY: 'swordfish',
    S3_ACCESS_KEY_ID: 'swordfish',
    METRICS_TOKEN: 'swordfish-swordfish',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=swordfish',
    PART_SIZE: '16MiB',
  }
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value)

  const lines = await run('config')

  expect(lines.join('\n')).not.toContain('swordfish')
  expect(lines.join('\n')).not.toContain(secret)
  const settingLines = lines.map((line) => line.split(/ +# /))
  expect(settingLines).toContainEqual(['PART_SIZE=16MiB', 'environment'])
  expect(settingLines).toContainEqual(['JWT_SECRET=[redacted]', 'environment'])
  expect(settingLines).toContainEqual([
    'DATABASE_URL=postgres://[redacted]@db/files?sslpassword=[redacted]',
    'environment',
  ])
  expect(settingLines).toContainEqual(['STORE=local', 'default'])
})

it('names settings that come from the .env file', () => {
  const found = effectiveSettings({ PORT: '8000', HOST: '::' }, new Set(['PORT']))

  expect(found).toContainEqual({ name: 'PORT', value: '8000', from: '.env' })
  expect(found).toContainEqual({ name: 'HOST', value: '::', from: 'environment' })
})

it('prints no token, and makes no secret, where no server has made a secret', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-elsewhere-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  vi.stubEnv('DATA_DIR', folder)

  await expect(run('token')).rejects.toThrow(`${folder} has no token secret`)
  await expect(run('sign-in-link')).rejects.toThrow(`${folder} has no token secret`)

  expect(await readdir(folder)).toEqual([])
})

it('prints a token of the developer in development mode by default', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-development-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  vi.stubEnv('DATA_DIR', folder)
  await writeFile(join(folder, 'jwt-secret'), secret)

  const [token = ''] = await run('token')

  expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
    sub: 'developer',
    role: 'creator',
  })
})

it('adds an audit entry for every token, without the token itself', async () => {
  const { url, dispose } = await freshDatabase()
  onTestFinished(dispose)
  const database = await openDatabase({ url, dataDir: '', pool: 1, timeoutMs: 60_000, onError: console.error })
  onTestFinished(database.close)
  await database.migrate()
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', url)
  vi.stubEnv('JWT_SECRET', secret)

  const [token = ''] = await run('token', '-u', 'zoe', '-r', 'member', '--tenant', 'acme', '--admin')

  const entries = await findAudit(database, { limit: 9 })
  expect(entries).toMatchObject([{ action: 'token.issue', isAllowed: true, target: 'zoe', tenant: null }])
  expect(entries[0]!.actor).toMatch(/ at the command line$/)
  expect(entries[0]!.note).toMatch(/^role member, tenant acme, admin, until 20\d\d-/)
  expect(JSON.stringify(entries)).not.toContain(token.split('.')[2])
})

it('verifies the audit log, and exits with 1 when an entry was changed', async () => {
  const { url, dispose } = await freshDatabase()
  onTestFinished(dispose)
  const database = await openDatabase({ url, dataDir: '', pool: 1, timeoutMs: 60_000, onError: console.error })
  onTestFinished(database.close)
  await database.migrate()
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', url)
  vi.stubEnv('JWT_SECRET', secret)
  onTestFinished(() => void (process.exitCode = undefined))
  await run('token', '-u', 'zoe', '-r', 'member')
  const { seq, hash } = await sealAudit(database, secret)

  const intact = await run('audit', '--verify', '--anchor', `${seq}:${hash}`)
  const codeOfIntact = process.exitCode
  await database.executeSql(
    `begin; set local session_replication_role = replica; update audit_log set target = 'eve'; commit`,
  )
  const changed = await run('audit', '--verify')

  expect(intact).toEqual([`1 entries are intact, up to 1:${hash}; 0 entries are not sealed yet`])
  expect(codeOfIntact).toBeUndefined()
  expect(changed[0]).toMatch(/^the audit log was changed: entry 1 \(id \d+\) or its seal was changed/)
  expect(process.exitCode).toBe(1)
  await expect(run('audit', '--verify', '--anchor', 'nonsense')).rejects.toThrow('hexadecimal')
})

it('prints a token, with a warning, when the database of the audit log is away', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', 'postgres://ann:hidden@127.0.0.1:1/landfall')
  vi.stubEnv('JWT_SECRET', secret)
  const stderr = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => stderr.mockRestore())

  const printed = await run('token', '-u', 'zoe', '-r', 'member')

  expect(printed).toHaveLength(1)
  expect(stderr.mock.calls).toEqual([[expect.stringContaining('this token is not in the audit log')]])
  expect(JSON.stringify(stderr.mock.calls)).not.toContain('hidden')
})

async function run(...args: string[]): Promise<string[]> {
  const printed: string[] = []
  const program = createProgram((line) => printed.push(line)).exitOverride()
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} })
  await program.parseAsync(args, { from: 'user' })
  return printed
}
