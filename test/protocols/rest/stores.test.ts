import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { openTestStore, storeKinds } from '../../support/open-test-store.ts'
import { openRest } from './open-rest.ts'

const MiB = 1024 ** 2
const partSize = 5 * MiB

describe.each(storeKinds)('REST, with files in %s', (kind) => {
  async function serve(budget = 64 * MiB) {
    const store = await openTestStore(kind)
    const app = await openRest({ store, partSize, budget: createMemoryBudget(budget) })
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

  it('parallel chunks become the file, also with little memory', async () => {
    const { init, chunk, complete, keys, read, engine } = await serve(4 * MiB)
    const bytes = randomBytes(2 * partSize + 1000)
    const id = await init(bytes.length)

    const sent = await Promise.all(
      [2, 0, 1].map((index) => chunk(id, index, bytes.subarray(index * partSize, (index + 1) * partSize))),
    )
    const { body } = await complete(id)
    await engine.drained()

    expect(sent.map((answer) => answer.status)).toEqual([200, 200, 200])
    expect(body.status).toBe('completed')
    expect((await read(body.r2_key)).equals(bytes)).toBe(true)
    expect(await keys()).toEqual([body.r2_key])
  })

  it('one of two concurrent chunks with the same index is stored, as its ETag says', async () => {
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
    expect(body.status).toBe('completed')
    expect((await read(body.r2_key)).subarray(0, partSize).equals(winner)).toBe(true)
  })

  it('a file in one request is stored, and a cancelled upload leaves no objects', async () => {
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

  it('a chunk with a wrong digest is discarded, and the list of chunks is verified', async () => {
    const { ask, init, chunk, read } = await serve()
    const bytes = randomBytes(partSize + 1000)
    const id = await init(bytes.length)
    const digest = `sha-256=:${createHash('sha256').update(bytes.subarray(0, partSize)).digest('base64')}:`
    const first = await chunk(id, 0, bytes.subarray(0, partSize), { 'content-digest': digest })
    const last = await chunk(id, 1, bytes.subarray(partSize))

    const other = await chunk(id, 0, randomBytes(partSize), { 'content-digest': digest })
    const complete = (etags: string[]) =>
      ask({
        method: 'POST',
        url: `/v1/uploads/${id}/complete`,
        payload: { parts: etags.map((etag, chunk_index) => ({ chunk_index, etag })) },
      })
    const refused = await complete([last.body.etag, first.body.etag])
    const { body } = await complete([first.body.etag, last.body.etag])

    expect([other.code, refused.code]).toEqual(['CHECKSUM_MISMATCH', 'INVALID_FIELD'])
    expect(body.status).toBe('completed')
    expect((await read(body.r2_key)).equals(bytes)).toBe(true)
  })

  it('the legacy routes complete an upload and answer its missing ranges', async () => {
    const { ask, read } = await serve()
    const bytes = randomBytes(partSize + 1000)
    const fields = { file_name: 'a.bin', total_size: bytes.length }
    const { body: created } = await ask({ method: 'POST', url: '/api/upload/init', payload: fields })
    const id = String(created.upload_id)
    const send = (index: number) =>
      ask({
        method: 'POST',
        url: '/api/upload/chunk',
        headers: { 'x-upload-id': id, 'x-chunk-index': String(index), 'content-type': 'application/octet-stream' },
        payload: bytes.subarray(index * partSize, (index + 1) * partSize),
      })

    await send(1)
    const { body: status } = await ask({ url: `/api/upload/${id}/status` })
    await send(0)
    const { body } = await ask({ method: 'POST', url: '/api/upload/complete', headers: { 'x-upload-id': id } })

    expect(status).toMatchObject({ received_chunks: [1], missing_ranges: [{ offset: 0, length: partSize }] })
    expect(body.status).toBe('completed')
    expect((await read(body.r2_key)).equals(bytes)).toBe(true)
  })
})
