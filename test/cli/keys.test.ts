import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { openDatabase } from '../../src/db/open.ts'
import { keysIn } from '../../src/features/api-keys/keys.ts'
import { freshDatabase } from '../support/postgres.ts'

beforeEach(() => vi.stubEnv('LOG_LEVEL', 'silent'))
afterEach(() => vi.unstubAllEnvs())

it('creates a key that a server accepts, lists it and revokes it', async () => {
  const { keys } = await openTestDatabase()

  const [token = ''] = await run(
    'create',
    '-n',
    'nightly',
    '-r',
    'creator',
    '-u',
    'ann',
    '-s',
    'upload,read',
    '-t',
    '90d',
  )
  const actor = await keys.identify(token)
  const [line = ''] = await run('list')
  const [printed] = await run('revoke', line.split('\t')[0]!)

  expect(actor).toMatchObject({ id: 'ann', role: 'creator', scopes: ['upload', 'read'], isAdmin: false })
  expect(line).toMatch(/\tlf_[\w-]{6}…\tactive\tnightly\trole creator\tuser ann\tupload,read\texpires 20\d\d-/)
  expect(line).not.toContain(token.slice(9))
  expect(printed).toMatch(/^revoked lf_.{6}… \(nightly\)$/)
  expect((await run('list'))[0]).toContain('\trevoked\t')
})

it.each([
  ['an unknown scope', ['create', '-n', 'x', '-r', 'creator', '-s', 'everything'], /upload, read, cancel, admin/],
  ['no role', ['create', '-n', 'x'], /--role/],
  ['an unknown role', ['create', '-n', 'x', '-r', 'king'], /no role king; the roles are creator, member, subscriber/],
  ['an invalid role name', ['create', '-n', 'x', '-r', 'a b'], /letters, digits/],
  ['a key by its name', ['revoke', 'nightly'], /the id of a key/],
  ['an unknown key', ['revoke', '00000000-0000-4000-8000-000000000000'], /no key with this id/],
])('refuses %s', async (_what, args, message) => {
  await openTestDatabase()

  await expect(run(...args)).rejects.toThrow(message)
})

it('creates no key for an unknown role, and lists the roles', async () => {
  await openTestDatabase()

  await expect(run('create', '-n', 'x', '-r', 'king')).rejects.toThrow('creator, member, subscriber')
})

async function openTestDatabase() {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('JWT_SECRET', 'a secret that is long enough for HS256')
  vi.stubEnv('DATABASE_URL', url)
  const database = await openDatabase({ url, dataDir: '', pool: 1, timeoutMs: 60_000, onError: console.error })
  onTestFinished(async () => {
    await database.close()
    await dispose()
  })
  await database.migrate()
  return { keys: await keysIn({ database, now: () => new Date(), onError: console.error }) }
}

async function run(...args: string[]): Promise<string[]> {
  const printed: string[] = []
  const program = createProgram((line) => printed.push(line)).exitOverride()
  const quiet = (command: typeof program) => {
    command.exitOverride().configureOutput({ writeErr: () => {} })
    for (const inner of command.commands) quiet(inner)
  }
  quiet(program)
  await program.parseAsync(['keys', ...args], { from: 'user' })
  return printed
}
