import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../../src/db/open.ts'
import { freshDatabase } from '../../support/postgres.ts'

const run = promisify(execFile)

it('the commands show, pair and accept a store, and refuse what loses data', { timeout: 240_000 }, async () => {
  const fresh = await freshDatabase({ isMigrated: true })
  const directory = await mkdtemp(join(tmpdir(), 'landfall-restore-'))
  const database = await openDatabase({ url: fresh.url, dataDir: '', pool: 2, timeoutMs: 5000, onError() {} })
  onTestFinished(async () => {
    await database.close()
    await fresh.dispose()
    await rm(directory, { recursive: true, force: true })
  })
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    JWT_SECRET: '9f2b6c1d7e8a4f5093bd6a7c1e2f4d5b',
    DATABASE_URL: fresh.url,
    DATA_DIR: directory,
  }
  const landfall = async (...args: string[]) =>
    run(process.execPath, ['src/cli/landfall.ts', ...args], { env }).then(
      ({ stdout }) => stdout,
      (error: { stderr: string }) => `refused: ${error.stderr}`,
    )
  const change = (text: string) => database.query({ name: '', text }, [])

  expect(await landfall('store', 'show')).toMatch(/not paired with a store yet/)
  expect(await landfall('store', 'pair')).toMatch(/is paired with this database now/)
  expect(await landfall('restore', 'accept')).toMatch(/nothing was changed/)

  await change('update store_pairing set counter = counter - 1')
  expect(await landfall('store', 'show')).toMatch(/restored from a backup/)
  expect(await landfall('restore', 'adopt', '--dry-run')).toMatch(/0 files would be adopted.*nothing was changed/)
  expect(await landfall('restore', 'accept')).toMatch(/accepted/)
  expect(await landfall('store', 'show')).toMatch(/they are paired/)

  await change('delete from store_pairing')
  expect(await landfall('store', 'pair')).toMatch(/refused: .*paired with another one/s)
  expect(await landfall('store', 'pair', '--replace')).toMatch(/is paired with this database now/)
  expect(await landfall('deleted', 'list')).toBe('')
})
