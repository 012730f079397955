/*
 * The database, the bucket and the disk fail and recover: clients are asked to retry, `/readyz` fails, and the same process continues
 * afterwards.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, rmdir, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startFaultProxy, type Trouble } from '../../support/fault-proxy.ts'
import type { NodeProcess } from '../../support/node-process.ts'
import { freshDatabase, startPostgres } from '../../support/postgres.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { until } from '../../support/until.ts'
import { append, create, expectUnharmed, offsetOf, openServer, readiness, sendAnother, tryToCreate } from './server.ts'

const MiB = 1024 ** 2
const polling = { timeout: 30_000, interval: 200 }

/** Checks for an error that asks the client to retry. */
async function expectRetryable(response: Response, code: string): Promise<void> {
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('5')
  expect(await response.json()).toMatchObject({ error: { code } })
}

/** Sends half a file; after `fail` the rest is refused, after `recover` it is accepted. */
async function sendThrough(
  server: NodeProcess,
  size: number,
  { fail, recover, code }: { fail: () => void | Promise<void>; recover: () => void | Promise<void>; code: string },
): Promise<void> {
  const pid = server.pid()
  const bytes = randomBytes(size)
  const half = Math.floor(size / 2)
  const path = await create(server, size)
  expect((await append(server, path, 0, bytes.subarray(0, half))).status).toBe(204)

  await fail()
  await expectRetryable(await append(server, path, half, bytes.subarray(half)), code)
  await vi.waitFor(async () => expect(await readiness(server)).toBe(503), polling)
  expect((await fetch(`${server.url}/livez`)).status).toBe(200)
  await recover()

  await vi.waitFor(async () => expect(await readiness(server)).toBe(200), polling)
  const offset = await vi.waitFor(() => offsetOf(server, path), polling)
  expect(offset).toBeGreaterThanOrEqual(half)
  if (offset < size) expect((await append(server, path, offset, bytes.subarray(offset))).status).toBe(204)
  expect(await offsetOf(server, path)).toBe(size)
  expectUnharmed(server, pid)
}

/** A disk of `size`, unmounted at the end of the test. */
async function mountSmallDisk(skip: (note: string) => void, size: string): Promise<string> {
  if (process.getuid?.() !== 0) skip('only root can mount a small disk')
  const disk = await mkdtemp(join(tmpdir(), 'landfall-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk], { stdio: 'pipe' })
  } catch (reason) {
    await rmdir(disk)
    skip(`this machine cannot mount: ${String(reason).slice(0, 100)}`)
  }
  onTestFinished(async () => {
    execFileSync('umount', ['-l', disk])
    await rmdir(disk)
  })
  return disk
}

/** Fills the disk up to `left` bytes, or fewer when the server writes to it meanwhile. */
async function fill(disk: string, filler: string, left: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk)
  await writeFile(filler, Buffer.alloc(bavail * bsize - left)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOSPC') throw error
  })
}

/** An empty database with its tables, but not its write-ahead log, on `disk`. */
async function databaseOn(disk: string): Promise<string> {
  const { default: pg } = await import('pg')
  execFileSync('chown', ['postgres', disk])
  const { url } = await freshDatabase()
  const name = new URL(url).pathname.slice(1)
  const cluster = new URL(url)
  cluster.pathname = '/postgres'
  const client = new pg.Client({ connectionString: cluster.href })
  await client.connect()
  await client.query(`create tablespace ${name} location '${disk}'`)
  await client.query(`alter database ${name} set tablespace ${name}`)
  onTestFinished(async () => {
    await client.query(`drop database ${name} with (force)`)
    await client.query(`drop tablespace ${name}`)
    await client.end()
  })
  return url
}

describe('Postgres', () => {
  it('is killed and restarted', { timeout: 120_000 }, async () => {
    const postgres = await startPostgres({ isDurable: true })
    onTestFinished(() => postgres.stop())
    const server = await openServer({ DATABASE_URL: postgres.url })
    onTestFinished(() => server.kill())

    await sendThrough(server, 600_000, { fail: postgres.kill, recover: postgres.start, code: 'DATABASE_ERROR' })
  })

  it.each<[string, Trouble]>([
    ['refuses connections', { refuse: true }],
    ['does not answer', { blackHole: true }],
    ['answers, but the answers are lost', { dropReply: true }],
  ])('%s, then recovers', { timeout: 120_000 }, async (_, trouble) => {
    const database = await freshDatabase()
    const proxy = await startFaultProxy(database.url)
    onTestFinished(async () => {
      await proxy.close()
      await database.dispose()
    })
    const server = await openServer({ DATABASE_URL: proxy.inFrontOf(database.url) })
    onTestFinished(() => server.kill())

    await sendThrough(server, 600_000, {
      fail() {
        proxy.set(trouble)
        if (trouble.refuse) proxy.cutAll()
      },
      recover() {
        proxy.set({})
        proxy.cutAll()
      },
      code: 'DATABASE_ERROR',
    })
  })

  it('is read-only, then recovers', { timeout: 120_000 }, async () => {
    const database = await freshDatabase()
    onTestFinished(database.dispose)
    const server = await openServer({ DATABASE_URL: database.url })
    onTestFinished(() => server.kill())
    const name = new URL(database.url).pathname.slice(1)
    const allow = async (mode: 'on' | 'off') => {
      const { default: pg } = await import('pg')
      const client = new pg.Client({ connectionString: database.url })
      await client.connect()
      await client.query('set default_transaction_read_only = off')
      await client.query(`alter database ${name} set default_transaction_read_only = ${mode}`)
      await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
        [name],
      )
      await client.end()
    }

    await sendThrough(server, 600_000, { fail: () => allow('on'), recover: () => allow('off'), code: 'DATABASE_ERROR' })
  })

  it('is full, then has space again', { timeout: 120_000 }, async ({ skip }) => {
    const disk = await mountSmallDisk(skip, '40m')
    const server = await openServer({ DATABASE_URL: await databaseOn(disk), DATABASE_TIMEOUT: '500ms' })
    onTestFinished(() => server.kill())
    const pid = server.pid()
    const bytes = randomBytes(600_000)
    const path = await create(server, bytes.length)
    expect((await append(server, path, 0, bytes.subarray(0, 250_000))).status).toBe(204)
    const filler = join(disk, 'filler')
    await fill(disk, filler, 0)

    // Some rows still fit into existing pages.
    const refused = await vi.waitUntil(async () => {
      const answer = await tryToCreate(server, 100)
      return answer.status === 201 ? null : answer
    }, polling)
    await expectRetryable(refused, 'DATABASE_ERROR')
    await vi.waitFor(async () => expect(await readiness(server)).toBe(503), polling)
    await rm(filler)

    await vi.waitFor(async () => expect(await readiness(server)).toBe(200), polling)
    expect((await tryToCreate(server, 100)).status).toBe(201)
    const offset = await offsetOf(server, path)
    expect(offset).toBe(250_000)
    expect((await append(server, path, offset, bytes.subarray(offset))).status).toBe(204)
    expectUnharmed(server, pid)
  })
})

describe('the bucket', () => {
  async function openOverS3() {
    const s3 = await startS3StandIn({ equalParts: true })
    const proxy = await startFaultProxy(s3.endpoint)
    const server = await openServer({
      STORE: 's3',
      PART_SIZE: '5MiB',
      ...s3.settings,
      S3_ENDPOINT: proxy.endpoint,
    })
    onTestFinished(async () => {
      await server.kill()
      await proxy.close()
      await s3.close()
    })
    return { s3, proxy, server }
  }

  it('refuses connections, then recovers', { timeout: 120_000 }, async () => {
    const { proxy, server } = await openOverS3()

    await sendThrough(server, 14 * MiB, {
      fail() {
        proxy.set({ refuse: true })
        proxy.cutAll()
      },
      recover: () => proxy.set({}),
      code: 'STORE_UNAVAILABLE',
    })
  })

  it('is overloaded, then recovers', { timeout: 120_000 }, async () => {
    const { s3, server } = await openOverS3()

    await sendThrough(server, 14 * MiB, {
      fail: () => void s3.faults.next('*', { status: 503, code: 'SlowDown', times: Number.POSITIVE_INFINITY }),
      recover: () => s3.faults.clear(),
      code: 'STORE_UNAVAILABLE',
    })
  })

  it('does not answer for a while, and requests wait until it does', {
    timeout: 120_000,
  }, async () => {
    const { proxy, server } = await openOverS3()
    const pid = server.pid()
    const bytes = randomBytes(14 * MiB)
    const path = await create(server, bytes.length)
    proxy.set({ blackHole: true })

    const sending = append(server, path, 0, bytes)
    await vi.waitFor(async () => expect(await readiness(server)).toBe(503), polling)
    proxy.set({})
    proxy.cutAll()

    expect((await sending).status).toBe(204)
    await vi.waitFor(async () => expect(await readiness(server)).toBe(200), polling)
    expectUnharmed(server, pid)
  })
})

describe('the disk', () => {
  it('is full, then has space again', { timeout: 120_000 }, async ({ skip }) => {
    const disk = await mountSmallDisk(skip, '12m')
    const server = await openServer({ DATA_DIR: disk })
    onTestFinished(() => server.kill())
    const filler = join(disk, 'filler')

    await sendThrough(server, 6 * MiB, {
      fail: () => fill(disk, filler, MiB),
      recover: () => rm(filler),
      code: 'STORE_UNAVAILABLE',
    })
    await sendAnother(server)
  })
})

describe('a starting server', () => {
  it('waits for a bucket and a Postgres that are down for a moment', { timeout: 60_000 }, async () => {
    const s3 = await startS3StandIn()
    const bucket = await startFaultProxy(s3.endpoint)
    const database = await freshDatabase()
    const postgres = await startFaultProxy(database.url)
    onTestFinished(async () => {
      await Promise.all([bucket.close(), postgres.close(), s3.close(), database.dispose()])
    })
    bucket.set({ refuse: true })
    postgres.set({ refuse: true })

    const starting = openServer({
      DATABASE_URL: postgres.inFrontOf(database.url),
      STORE: 's3',
      ...s3.settings,
      S3_ENDPOINT: bucket.endpoint,
      PART_SIZE: '5MiB',
    })

    // A request to the bucket that fails is tried several times before the start is.
    for (const [proxy, tries] of [
      [postgres, 2],
      [bucket, 12],
    ] as const) {
      await until(() => proxy.counts.connections >= tries)
      proxy.set({})
    }
    const server = await starting

    expect(server.log()).toContain('waiting for the database or the store')
    await sendAnother(server)
  })

  it('does not wait for a bucket that does not exist', { timeout: 60_000 }, async () => {
    const s3 = await startS3StandIn()
    onTestFinished(() => s3.close())
    const server = openServer({
      STORE: 's3',
      ...s3.settings,
      S3_BUCKET: 'another',
      PART_SIZE: '5MiB',
    })

    await expect(server).rejects.toThrow('the bucket another does not exist')
  })
})
