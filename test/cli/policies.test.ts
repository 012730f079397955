import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'

let database: FreshDatabase
let directory: string
beforeAll(async () => {
  database = await freshDatabase({ isMigrated: true })
  directory = await mkdtemp(join(tmpdir(), 'landfall-policies-'))
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('JWT_SECRET', 'a secret that is long enough for HS256')
  vi.stubEnv('DATABASE_URL', database.url)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await database.dispose()
  await rm(directory, { recursive: true })
})

it('shows, changes and explains the policies', async () => {
  const file = join(directory, 'policies.json')
  const shown = JSON.parse((await run('policies', 'show')).join('\n'))
  await writeFile(file, JSON.stringify({ ...shown, users: { bob: { maxSize: '1 KiB' } } }))

  expect(shown.roles.creator.maxSize).toBe('10 GiB')
  expect(await run('policies', 'diff', file)).toEqual(['users.bob.maxSize: (not set) → "1 KiB"'])
  expect(await run('policies', 'set', file, '--note', 'bob is new', '--apply-to-active')).toEqual([
    'version 1 of the policies is active now',
    '0 active uploads have other limits now',
  ])
  await expect(run('policies', 'set', file, '--if-version', '7')).rejects.toThrow('version 1 of the policies is active')
  expect(await run('policies', 'history')).toEqual([
    expect.stringMatching(/^1 {2}\S+Z {2}\w+ at the command line {2}bob is new$/),
  ])
  expect(await run('audit', '--action', 'policy.change')).toEqual([
    expect.stringMatching(/^\S+Z {2}policy\.change {2}\w+ at the command line {2}- {2}1 {2}bob is new$/),
  ])
  expect(JSON.parse((await run('policies', 'show', '1')).join('\n')).users.bob).toEqual({
    maxSize: '1 KiB',
  })
  const options = ['--user', 'bob', '--role', 'member', '--file', 'a.png', '--type', 'image/png']
  expect(await run('explain', ...options, '--size', '1KiB')).toEqual(
    expect.arrayContaining(['yes: no rule refuses the file', expect.stringMatching(/^maxSize +user +"1 KiB"$/)]),
  )
  expect((await run('explain', ...options, '--size', '2KiB'))[0]).toBe(
    'no: maxSize (user) FILE_TOO_LARGE: A member may send at most 1 KiB.',
  )
})

it('a file that lacks a role removes it only with --remove-roles', async () => {
  const file = join(directory, 'short.json')
  const shown = JSON.parse((await run('policies', 'show')).join('\n'))
  await writeFile(file, JSON.stringify({ ...shown, roles: { creator: shown.roles.creator } }))

  expect(await run('policies', 'diff', file)).toEqual(['removes the roles member, subscriber'])
  await expect(run('policies', 'set', file)).rejects.toThrow(/removes the roles member, subscriber.*--remove-roles/)
  expect(JSON.parse((await run('policies', 'show')).join('\n'))).toEqual(shown)
  expect(await run('policies', 'set', file, '--remove-roles')).toContain('removes the roles member, subscriber')
  expect(Object.keys(JSON.parse((await run('policies', 'show')).join('\n')).roles)).toEqual(['creator'])

  await writeFile(file, JSON.stringify({ roles: { member: shown.roles.member }, users: { bob: null } }))
  await run('policies', 'merge', file, '--note', 'member again')
  const merged = JSON.parse((await run('policies', 'show')).join('\n'))
  expect(merged.roles).toEqual({ creator: shown.roles.creator, member: shown.roles.member })
  expect(merged.users).toEqual({})
})

it('refuses invalid policies with the path of every problem', async () => {
  const file = join(directory, 'policies.json')
  await writeFile(file, '{"roles": {"member": {"maxsize": 1}}, "tenants": {"acme": {"totalBytes": "much"}}}')

  await expect(run('policies', 'set', file)).rejects.toThrow(
    /roles\.member\.maxsize: there is no such field.*tenants\.acme\.totalBytes: expected a size/,
  )
})

async function run(...args: string[]): Promise<string[]> {
  const printed: string[] = []
  await createProgram((line) => printed.push(line))
    .exitOverride()
    .parseAsync(args, { from: 'user' })
  return printed
}
