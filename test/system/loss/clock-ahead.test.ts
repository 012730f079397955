import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, globSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startNodeProcess } from '../../support/node-process.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { testSecret } from '../../support/tus-file.ts'
import { append, create, offsetOf, openServer, readiness } from '../faults/server.ts'

const library = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0] ?? ''
const hasFaketime = existsSync(library) && spawnSync('faketime', ['--version']).error === undefined

it.skipIf(!hasFaketime)('a node with its clock eight days ahead expires nothing (needs faketime)', async () => {
  const database = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-clock-'))
  onTestFinished(async () => {
    await database.dispose()
    await rm(directory, { recursive: true, force: true })
  })
  const shared = {
    DATABASE_URL: database.url,
    DATA_DIR: directory,
    POLICIES: '{"creator":{"timeToLive":"7d"},"member":{"timeToLive":"7d"},"subscriber":{"timeToLive":"7d"}}',
  }
  const correct = await openServer(shared)
  const path = await create(correct, 100_000)
  const bytes = randomBytes(100_000)
  expect((await append(correct, path, 0, bytes.subarray(0, 50_000))).status).toBe(204)

  const sweepAhead = async () =>
    execFileSync(process.execPath, ['src/cli/landfall.ts', 'sweep'], {
      env: {
        ...process.env,
        ...shared,
        NODE_ENV: 'production',
        JWT_SECRET: testSecret,
        LD_PRELOAD: library,
        FAKETIME: '+8d',
      },
    })
  const ahead = await startNodeProcess({
    readyAt: '/livez',
    environment: {
      ...shared,
      JWT_SECRET: testSecret,
      LD_PRELOAD: library,
      FAKETIME: '+8d',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  })
  onTestFinished(() => ahead.kill())
  const ready = await fetch(`${ahead.url}/readyz`)
  expect([ready.status, ((await ready.json()) as { reason: string }).reason]).toEqual([
    503,
    expect.stringMatching(/ahead of the database/),
  ])
  expect(await readiness(correct)).toBe(200)
  await correct.stop()
  await ahead.untilLogged(/clock of this server is wrong/)
  // The node with the wrong clock runs its jobs; so does an operator on that machine.
  await sweepAhead()

  expect(await offsetOf(ahead, path)).toBe(50_000)
  expect((await append(ahead, path, 50_000, bytes.subarray(50_000))).status).toBe(204)
})
