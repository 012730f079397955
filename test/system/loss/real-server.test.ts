import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { freshDatabase } from '../../support/postgres.ts'
import { testSecret } from '../../support/tus-file.ts'
import { append, create, offsetOf, openServer } from '../faults/server.ts'

const run = promisify(execFile)
const MiB = 1024 ** 2

it('server and commands without their volume say so and write nothing', async () => {
  const { server, settings, files, directory } = await open({ START_TIMEOUT: '1s' })
  const bytes = randomBytes(2 * MiB)
  const path = await create(server, bytes.length)
  expect((await append(server, path, 0, bytes.subarray(0, MiB))).status).toBe(204)
  await server.stop()
  const moved = join(directory, 'moved')
  await rename(files, moved)
  await mkdir(files)

  await expect(server.start()).rejects.toThrow(/not mounted.*store pair --replace/s)
  const env = { ...settings, PATH: process.env.PATH, NODE_ENV: 'production' }
  for (const args of [['sweep'], ['quotas', 'reconcile', '--store'], ['deleted', 'list']]) {
    const result = await run(process.execPath, ['src/cli/landfall.ts', ...args], { env }).catch((error) => error)
    expect([result.code, result.stderr]).toEqual([expect.any(Number), expect.stringMatching(/not mounted/)])
  }
  expect(await readdir(files)).toEqual([])

  await rm(files, { recursive: true })
  await rename(moved, files)
  await server.start()
  const offset = await offsetOf(server, path)
  expect(offset).toBe(MiB)
  expect((await append(server, path, offset, bytes.subarray(offset))).status).toBe(204)
})

it('an upload whose bytes are gone from the volume fails after LOSS_CONFIRM', async () => {
  const { server, files } = await open({ LOSS_CONFIRM: '3s' })
  const bytes = randomBytes(2 * MiB)
  const path = await create(server, bytes.length)
  expect((await append(server, path, 0, bytes.subarray(0, MiB))).status).toBe(204)
  await server.stop()
  const staging = join(files, '.landfall/staging')
  for (const name of await readdir(staging)) await rm(join(staging, name))
  await server.start()
  const resume = async () => append(server, path, MiB, bytes.subarray(MiB))

  const first = await resume()
  expect(first.status).toBe(503)
  expect(Number(first.headers.get('retry-after'))).toBeGreaterThan(0)

  await expect.poll(async () => (await resume()).status, { timeout: 30_000, interval: 250 }).toBe(410)
})

async function open(more: Record<string, string>) {
  const database = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-real-'))
  onTestFinished(async () => {
    await database.dispose()
    await rm(directory, { recursive: true, force: true })
  })
  const settings = { DATABASE_URL: database.url, DATA_DIR: directory, JWT_SECRET: testSecret, ...more }
  return { server: await openServer(settings), settings, directory, files: join(directory, 'files') }
}
