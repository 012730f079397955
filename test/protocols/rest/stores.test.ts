import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMemoryBudget } from '../../../src/core/memory-budget.ts'
import type { ObjectStore } from '../../../src/core/ports.ts'
import { localStore } from '../../../src/stores/local.ts'
import { s3Options } from '../../../src/stores/s3/options.ts'
import { s3Store } from '../../../src/stores/s3/store.ts'
import type { MemoryStore } from '../../support/memory-store.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { openRest } from './open-rest.ts'

const MiB = 1024 ** 2
const partSize = 5 * MiB

async function onDisk(): Promise<ObjectStore> {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-rest-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return localStore({ directory, fsync: false })
}

async function inBucket(prefix: string, where: Record<string, string | undefined>): Promise<ObjectStore> {
  const store = s3Store(s3Options.parse({ ...where, S3_PREFIX: prefix }))
  onTestFinished(async () => {
    for await (const key of store.list('')) await store.remove([key])
    await store.close()
  })
  return store
}

async function onStandIn(): Promise<ObjectStore> {
  const server = await startS3StandIn({ equalParts: true })
  onTestFinished(() => server.close())
  return inBucket('', {
    S3_ENDPOINT: server.endpoint,
    S3_BUCKET: server.bucket,
    S3_ACCESS_KEY_ID: server.accessKeyId,
    S3_SECRET_ACCESS_KEY: server.secretAccessKey,
  })
}

const stores: [string, () => Promise<ObjectStore>][] = [
  ['the local disk', onDisk],
  ["an S3 server with R2's rule", onStandIn],
]
if (process.env.TEST_S3_ENDPOINT) {
  const { env } = process
  const where = {
    S3_ENDPOINT: env.TEST_S3_ENDPOINT,
    S3_BUCKET: env.TEST_S3_BUCKET,
    S3_ACCESS_KEY_ID: env.TEST_S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY: env.TEST_S3_SECRET_ACCESS_KEY,
  }
  stores.push(['a real S3 server', () => inBucket(`test-${randomUUID()}/`, where)])
}

describe.each(stores)('on %s', (_name, open) => {
  async function serve(budget = 64 * MiB) {
    const store = await open()
    const app = await openRest({ store: store as MemoryStore, partSize, budget: createMemoryBudget(budget) })
    const keys = async () => {
      const all: string[] = []
      for await (const key of store.list('')) all.push(key)
      return all
    }
    const read = async (key: string) => {
      const chunks: Buffer[] = []
      for await (const chunk of store.read(key)) chunks.push(chunk)
      return Buffer.concat(chunks)
    }
    const complete = (id: string) => app.ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })
    return { ...app, keys, read, complete }
  }

  it('chunks beside each other make the file, with little memory too', async () => {
    const { init, chunk, complete, keys, read, engine } = await serve(4 * MiB)
    const bytes = randomBytes(2 * partSize + 1000)
    const id = await init(bytes.length)

    const sent = await Promise.all(
      [2, 0, 1].map((index) => chunk(id, index, bytes.subarray(index * partSize, (index + 1) * partSize))),
    )
    const { body } = await complete(id)
    await engine.idle()

    expect(sent.map((answer) => answer.status)).toEqual([200, 200, 200])
    expect(body.state).toBe('completed')
    expect((await read(body.key)).equals(bytes)).toBe(true)
    expect(await keys()).toEqual([body.key])
  })

  it('a chunk sent twice at once with other bytes is one of the two, and its ETag says which', async () => {
    const { ask, init, chunk, read } = await serve()
    const [one, other] = [randomBytes(partSize), randomBytes(partSize)]
    const id = await init(partSize + 1)
    await chunk(id, 1, randomBytes(1))

    const answers = await Promise.all([chunk(id, 0, one), chunk(id, 0, other)])
    const { body: status } = await ask({ url: `/v1/uploads/${id}/status` })
    const parts = status.chunks.map(({ chunk_index, etag }: { chunk_index: number; etag: string }) => ({
      chunk_index,
      etag,
    }))
    const { body } = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete`, payload: { parts } })

    expect(answers.map((answer) => answer.status)).toEqual([200, 200])
    const winner = answers[0]!.body.etag === status.chunks[0].etag ? one : other
    expect(body.state).toBe('completed')
    expect((await read(body.key)).subarray(0, partSize).equals(winner)).toBe(true)
  })

  it('whole files arrive, and a cancelled upload leaves nothing', async () => {
    const { ask, init, chunk, keys, read } = await serve()
    const bytes = randomBytes(partSize + 7)
    const id = await init(2 * partSize)
    await chunk(id, 1, randomBytes(partSize))

    const file = await ask({ method: 'PUT', url: '/v1/files/a.bin', payload: bytes })
    await ask({ method: 'DELETE', url: `/v1/uploads/${id}/cancel` })

    expect(file.status).toBe(201)
    expect((await read(file.body.key)).equals(bytes)).toBe(true)
    expect(await keys()).toEqual([file.body.key])
  })
})
