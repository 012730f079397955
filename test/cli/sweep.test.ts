import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { sweepOnce } from '../../src/cli/sweep.ts'
import { loadConfig } from '../../src/config.ts'
import { markerKey, probeKey } from '../../src/core/pairing/marker.ts'
import { localStore } from '../../src/stores/local.ts'
import { inChunks } from '../stores/contract.ts'
import { startNodeProcess } from '../support/node-process.ts'
import { freshDatabase } from '../support/postgres.ts'
import { headersOf, testSecret } from '../support/tus-file.ts'

it('a sweep with --dry-run prints what it would do, and changes nothing', { timeout: 60_000 }, async () => {
  const database = await freshDatabase({ isMigrated: true })
  const directory = await mkdtemp(join(tmpdir(), 'landfall-sweep-'))
  const environment = {
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    DATA_DIR: directory,
    JWT_SECRET: testSecret,
    LOG_LEVEL: 'warn',
  }
  const server = await startNodeProcess({ environment })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  onTestFinished(async () => {
    await server.kill()
    await client.end()
    await database.dispose()
    await rm(directory, { recursive: true, force: true })
  })
  const headers = {
    'tus-resumable': '1.0.0',
    'content-type': 'application/offset+octet-stream',
    ...(await headersOf()),
  }
  const created = await fetch(`${server.url}/files`, {
    method: 'POST',
    headers: { ...headers, 'upload-length': '10000' },
    // More than the row keeps as the prefix of a file of unknown type.
    body: 'bytes'.repeat(1000),
  })
  const id = created.headers.get('location')!.split('/').at(-1)!
  await server.stop()
  const store = localStore({ directory: join(directory, 'files'), fsync: false })
  await store.put('foreign.txt', inChunks(Buffer.from('not ours')), { contentType: 'text/plain' })
  await client.query(`update upload_sessions set expires_at = now() - interval '1 minute'`)
  const config = loadConfig(environment)
  const keys = async () => {
    const found: string[] = []
    for await (const key of store.list('')) found.push(key)
    return found.sort()
  }

  const preview = await sweepOnce(config, true)
  const before = await keys()
  const swept = await sweepOnce(config, false)

  expect(preview).toEqual([
    `would expire ${id}`,
    expect.stringMatching(/^would remove \.landfall\/tails\//),
    'nothing was changed',
  ])
  expect(before).toEqual([probeKey, markerKey, expect.stringMatching(/^\.landfall\/tails\//), 'foreign.txt'])
  expect(swept).toEqual(['expired 1 uploads, cleaned up after 0'])
  expect(await keys()).toEqual([probeKey, markerKey, 'foreign.txt'])
  const { rows } = await client.query('select state, needs_cleanup from upload_sessions')
  expect(rows).toEqual([{ state: 'expired', needs_cleanup: false }])
})
