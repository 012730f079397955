import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { tokenSecret } from '../../src/app/development.ts'

it('keeps the generated secret, so that tokens survive a restart', async () => {
  const DATA_DIR = await folder()

  const made = await tokenSecret({ JWT_SECRET: undefined, DATA_DIR })

  expect(Buffer.byteLength(made)).toBeGreaterThanOrEqual(32)
  expect(await tokenSecret({ JWT_SECRET: undefined, DATA_DIR })).toBe(made)
})

it('makes the secret readable by its owner only', async () => {
  const DATA_DIR = await folder()

  await tokenSecret({ JWT_SECRET: undefined, DATA_DIR })

  expect((await stat(join(DATA_DIR, 'jwt-secret'))).mode & 0o777).toBe(0o600)
})

it('gives servers that start at once the same secret, and leaves no other file', async () => {
  const DATA_DIR = await folder()

  const secrets = await Promise.all([1, 2, 3, 4].map(() => tokenSecret({ JWT_SECRET: undefined, DATA_DIR })))

  expect(new Set(secrets).size).toBe(1)
  expect(await readdir(DATA_DIR)).toEqual(['jwt-secret'])
})

it('says what to do about a secret that cannot be read', async () => {
  const DATA_DIR = await folder()
  await mkdir(join(DATA_DIR, 'jwt-secret'))

  await expect(tokenSecret({ JWT_SECRET: undefined, DATA_DIR })).rejects.toThrow(
    `DATA_DIR: ${join(DATA_DIR, 'jwt-secret')} cannot be read (EISDIR). Start Landfall as the user`,
  )
})

it('prefers JWT_SECRET', async () => {
  expect(await tokenSecret({ JWT_SECRET: 'given', DATA_DIR: '/nowhere' })).toBe('given')
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'landfall-development-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}
