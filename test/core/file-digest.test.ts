import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { AppendRequest, RunningEngine } from '../../src/core/engine.ts'
import { ada, bodyOf, openEngine } from '../support/open-engine.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64')
const creation = (size: number | null, digest: string | null) => ({
  size,
  filename: 'notes.txt',
  contentType: 'text/plain',
  digests: { expected: digest ? { 'sha-256': digest } : {}, wanted: [] },
})

async function send(engine: RunningEngine, id: string, bytes: Buffer, cuts: number[]) {
  const ends = [...cuts, bytes.length]
  let at = 0
  for (const end of ends) {
    const chunk: AppendRequest = {
      offset: at,
      body: bodyOf(bytes.subarray(at, end)),
      bodySize: end - at,
      ending: end === bytes.length ? 'with-body' : 'later',
    }
    await engine.append(ada, id, chunk)
    at = end
  }
}

describe.each([
  ['in one body that fits into a part', 7, []],
  ['in one body of several parts', 47, []],
  ['in several bodies', 47, [13, 20]],
  ['in two bodies that fit into a part', 9, [4]],
  ['in one body and an empty end', 20, [20]],
  ['without a byte', 0, []],
])('a file whose digest was announced, sent %s', (_, size, cuts) => {
  it('is completed when it has that digest, and the digest is remembered', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(size)
    const { id, key } = await engine.create(ada, { ...creation(size, sha256(bytes)), ending: 'later' })

    await send(engine, id, bytes, cuts)

    const upload = await engine.status(ada, id)
    expect(upload).toMatchObject({ state: 'completed', digests: { actual: { 'sha-256': sha256(bytes) } } })
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('has failed when it has another, and nothing is left of it', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(size)
    const { id } = await engine.create(ada, { ...creation(size, sha256(Buffer.from('another'))), ending: 'later' })

    const sent = send(engine, id, bytes, cuts)

    await expect(sent).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
    expect(await engine.get(ada, id)).toMatchObject({ state: 'failed', failure: 'digest' })
    await expect(engine.status(ada, id)).rejects.toMatchObject({
      code: 'UPLOAD_LOST',
      message: expect.stringContaining('digest'),
    })
    await engine.drained()
    await engine.cleanUp(id)
    expect(store.objects.size).toBe(0)
    expect(store.multiparts.size).toBe(0)
  })
})

it('what a client wants to know is there when the file is whole, and not before', async () => {
  const { engine } = await openEngine()
  const bytes = randomBytes(47)
  const sha512 = createHash('sha512').update(bytes).digest('base64')
  const { id } = await engine.create(ada, {
    ...creation(47, null),
    digests: { expected: {}, wanted: ['sha-256', 'sha-512'] },
  })

  await send(engine, id, bytes, [13])

  expect((await engine.status(ada, id)).digests?.actual).toEqual({ 'sha-256': sha256(bytes), 'sha-512': sha512 })
})

it('a file that came in one body is not read again', async () => {
  const { engine, store } = await openEngine()
  const bytes = randomBytes(47)
  const { id } = await engine.create(ada, creation(47, sha256(bytes)))

  await send(engine, id, bytes, [])

  expect(store.calls).not.toContain('read')
})

it('a finish that was cut off is held to the digest as well', async () => {
  const { engine, store } = await openEngine()
  const { id } = await engine.create(ada, creation(47, sha256(Buffer.from('another'))))
  const bytes = randomBytes(47)
  store.fault = (call, at) => {
    if (call === 'completeMultipart' && at === 'before') throw new Error('the process dies here')
  }
  await send(engine, id, bytes, [20]).catch(() => {})
  store.fault = () => {}

  await expect(engine.finish(id)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
  expect(await engine.get(ada, id)).toMatchObject({ state: 'failed', failure: 'digest' })
})
