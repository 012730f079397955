import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { redeemSignInCode } from '../../src/http/identity/sign-in-codes.ts'

it.each([
  [{}, 'http://localhost:1080/#code=', { user: 'developer', role: 'creator' }],
  [{ PORT: '8000', HOST: '0.0.0.0' }, 'http://localhost:8000/#code=', { user: 'ann', role: 'member' }],
  [{ PUBLIC_URL: 'https://up.example/in/' }, 'https://up.example/in/#code=', { user: 'ann', role: 'member' }],
])('prints a sign-in link for a server with the settings %o', async (settings, start, user) => {
  const folder = await dataDir()
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value)

  const [link = ''] = await run('sign-in-link', '--user', user.user, '--role', user.role)

  expect(link.startsWith(start)).toBe(true)
  expect(await redeemSignInCode(join(folder, 'sign-in'), link.slice(start.length), new Date())).toEqual(user)
})

it('prints no sign-in link for an unknown role', async () => {
  await dataDir()

  await expect(run('sign-in-link', '--role', 'king')).rejects.toThrow('creator, member, subscriber')
})

it('prints no sign-in link in production', async () => {
  await dataDir()
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('DATABASE_URL', 'postgres://elsewhere/landfall')
  vi.stubEnv('JWT_SECRET', 'a secret that is long enough for HS256')

  await expect(run('sign-in-link')).rejects.toThrow('landfall token')
})

async function dataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-link-'))
  vi.stubEnv('DATA_DIR', folder)
  await writeFile(join(folder, 'jwt-secret'), 'a secret that is long enough for HS256')
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(folder, { recursive: true, force: true })
  })
  return folder
}

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = []
  await createProgram((line) => lines.push(line)).parseAsync(args, { from: 'user' })
  return lines
}
