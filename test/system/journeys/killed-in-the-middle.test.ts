/*
 * tus-js-client sends a file while the server is killed with SIGKILL at random points and started again. The file is small by default;
 * JOURNEY_SIZE=1GiB sets its size, and TEST_S3_* a real bucket.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Upload } from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ObjectStore } from '../../../src/core/ports/object-store.ts'
import { parseSize } from '../../../src/core/units.ts'
import { userOf } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { localStore } from '../../../src/stores/local.ts'
import { s3Options } from '../../../src/stores/s3/options.ts'
import { s3Store } from '../../../src/stores/s3/store.ts'
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { randomFile } from '../../support/random-file.ts'
import { realS3 } from '../../support/real-s3.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { seeded } from '../../support/seeded.ts'

const size = parseSize(process.env.JOURNEY_SIZE ?? '48MiB')!
const kills = Number(process.env.JOURNEY_KILLS ?? 3)
const secret = 'a secret that is long enough for HS256'

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-journey-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function onDisk(): Promise<{ environment: Record<string, string>; store: ObjectStore }> {
  const directory = await temporary()
  // Development mode reads its secret from this file.
  await writeFile(join(directory, 'jwt-secret'), secret, { mode: 0o600 })
  return {
    environment: { DATA_DIR: directory },
    store: localStore({ directory: join(directory, 'files'), fsync: false }),
  }
}

async function inBucket(): Promise<{ environment: Record<string, string>; store: ObjectStore }> {
  const database = await freshDatabase()
  const real = realS3()
  const standIn = real ? null : await startS3StandIn({ equalParts: true, keep: { directory: await temporary() } })
  const settings = {
    ...(real ?? standIn?.settings),
    S3_PREFIX: `journey-${Date.now()}/`,
  }
  const store = s3Store(s3Options.parse(settings))
  onTestFinished(async () => {
    for await (const key of store.list('')) await store.remove([key])
    await store.close()
    await standIn?.close()
    await database.dispose()
  })
  return {
    environment: {
      STORE: 's3',
      DATABASE_URL: database.url,
      JWT_SECRET: secret,
      DATA_DIR: await temporary(),
      ...settings,
    },
    store,
  }
}

/** Sends the file; kills and restarts the server whenever the client has sent up to the next point. */
async function sendWhileKilled(server: NodeProcess, path: string, points: number[]): Promise<number> {
  const token = await signToken(secret, userOf('ada', 'creator'), 3600)
  let killed = 0
  const restarts: Promise<void>[] = []
  let isRestarting = false
  async function restart() {
    isRestarting = true
    await server.kill()
    await server.start()
    isRestarting = false
  }
  await new Promise<void>((resolve, reject) => {
    new Upload(createReadStream(path) as never, {
      endpoint: `${server.url}/files`,
      headers: { authorization: `Bearer ${token}` },
      metadata: { filename: 'big.bin' },
      retryDelays: Array.from({ length: 60 }, () => 500),
      // The client reports progress ten times a second and at the start of a request: one request could pass several points.
      chunkSize: Math.ceil(size / 12),
      onProgress(sent) {
        if (isRestarting || killed === points.length || sent < points[killed]!) return
        killed += 1
        restarts.push(restart())
      },
      onSuccess: () => resolve(),
      onError: reject,
    }).start()
  })
  // The last bytes may have arrived before the last kill did.
  await Promise.all(restarts)
  return killed
}

async function sumOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const sum = createHash('sha256')
  for await (const chunk of chunks) sum.update(chunk)
  return sum.digest('hex')
}

describe('an upload whose server is killed', () => {
  it.each([
    ['on disk, with the embedded database', onDisk],
    ['in a bucket, with Postgres', inBucket],
  ])('continues to the last byte %s', { timeout: 600_000 }, async (_, open) => {
    const seed = process.env.TEST_SEED ?? String(Date.now())
    const random = seeded(seed)
    const file = randomFile(seed, size)
    const path = join(await temporary(), 'big.bin')
    await pipeline(file.stream(), createWriteStream(path))
    const { environment, store } = await open()
    const server = await startNodeProcess({
      environment: { ...environment, LEASE_TTL: '2s', LOG_LEVEL: 'warn' },
    })
    onTestFinished(() => server.kill())
    const points = Array.from({ length: kills }, () => random.int(1, Math.floor(size * 0.85))).sort((a, b) => a - b)

    const killed = await sendWhileKilled(server, path, points)

    expect(killed).toBe(kills)
    const keys: string[] = []
    // Beside the marker and the probe of the store, only the object is left.
    for await (const key of store.list('')) if (!/^\.landfall\/(probe|store\.json)$/.test(key)) keys.push(key)
    expect(keys, keys.join()).toHaveLength(1)
    expect(await sumOf(store.read(keys[0]!))).toBe(file.sha256())
    expect(await server.stop()).toBe(0)
  })
})
