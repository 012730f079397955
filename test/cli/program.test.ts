import { afterEach, expect, it, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { renderEnvExample } from '../../src/config.ts'
import { userOf } from '../../src/core/upload.ts'
import { secretCheck } from '../../src/http/identity/secret.ts'

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
  ['a role that is not there', ['token', '--user', 'zoe', '--role', 'king'], /creator, member, subscriber/],
  ['a duration that is none', ['token', '--user', 'zoe', '--role', 'member', '--ttl', 'long'], /such as 24h/],
  ['a user that no token may name', ['token', '--user', '', '--role', 'member'], /user/],
  ['nobody', ['token', '--role', 'member'], /--user/],
])('makes no token for %s', async (_what, words, message) => {
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', 'postgres://elsewhere/landfall')
  vi.stubEnv('JWT_SECRET', secret)

  await expect(run(...words)).rejects.toThrow(message)
})

it('says what is wrong with the configuration', async () => {
  vi.stubEnv('PORT', 'high')

  await expect(run('check')).rejects.toThrow('PORT')
})

it('says the quotas of each role, and warns of a role without any', async () => {
  vi.stubEnv('POLICIES', '{"member":{"bytesPerDay":null,"totalBytes":null}}')

  const lines = await run('check')

  expect(lines.slice(1)).toEqual([
    expect.stringMatching(/^a creator may send 10 GiB a file, 2000 uploads at once, 500 GiB a day, .* 2 TiB in all$/),
    expect.stringMatching(/^a member may send .* any number of bytes in all .*set bytesPerDay or totalBytes\)$/),
    expect.stringMatching(/^a subscriber may send 200 MiB a file, 100 uploads at once, 5 GiB a day, .* 20 GiB in all$/),
  ])
})

it('prints every setting', async () => {
  expect(await run('config')).toEqual([renderEnvExample()])
})

async function run(...words: string[]): Promise<string[]> {
  const printed: string[] = []
  const program = createProgram((line) => printed.push(line)).exitOverride()
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} })
  await program.parseAsync(words, { from: 'user' })
  return printed
}
