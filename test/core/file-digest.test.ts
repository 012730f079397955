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
  ['in one request smaller than a part', 7, []],
  ['in one request of several parts', 47, []],
  ['in several requests', 47, [13, 20]],
  ['in two requests smaller than a part', 9, [4]],
  ['in one request and an empty last one', 20, [20]],
  ['without bytes', 0, []],
])('a file with a declared digest, sent %s', (_, size, cuts) => {
  it('is completed when it matches, and its digest is recorded', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(size)
    const { id, key } = await engine.create(ada, { ...creation(size, sha256(bytes)), ending: 'later' })

    await send(engine, id, bytes, cuts)

    const upload = await engine.status(ada, id)
    expect(upload).toMatchObject({ state: 'completed', digests: { actual: { 'sha-256': sha256(bytes) } } })
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('fails when it does not match, and is removed', async () => {
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

it('the wanted digests are known once the file is complete', async () => {
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

it('a file sent in one request is not read again', async () => {
  const { engine, store } = await openEngine()
  const bytes = randomBytes(47)
  const { id } = await engine.create(ada, creation(47, sha256(bytes)))

  await send(engine, id, bytes, [])

  expect(store.calls).not.toContain('read')
})

it('an interrupted completion verifies the digest too', async () => {
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
