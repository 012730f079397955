import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../../src/core/engine.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { userOf } from '../../../src/core/upload.ts'
import { findUsageOf } from '../../../src/db/usage.ts'
import { unavailable } from '../../support/memory-store.ts'
import { bodyOf, brokenBody, hungBody, openEngine } from '../../support/open-engine.ts'

const file = randomBytes(10)
const wrong: Digest = {
  update() {},
  verify() {
    throw new UploadError('CHECKSUM_MISMATCH', 'The bytes are not the ones that were sent.')
  },
}

/** An upload of 10 bytes by a user of its own, in chunks by number or not, and what the user sent today. */
async function begin(byChunks: boolean) {
  const { engine, database, store } = await openEngine({ bodyIdleMs: 100 })
  const ann = userOf(randomUUID(), 'creator')
  const creation = { size: 10, filename: 'a.bin', contentType: 'application/octet-stream', byChunks }
  const { id } = await engine.create(ann, creation)
  const sentToday = async () => {
    await engine.drained()
    return (await findUsageOf(database, ann)).dayBytes
  }
  return { engine, ann, id, store, sentToday }
}

describe('bytes that are refused count for the day of their owner', () => {
  it.each([
    ['in a chunk with another checksum', { body: () => bodyOf(file), digest: wrong }, 10],
    ['in a chunk that broke off', { body: () => brokenBody(file.subarray(0, 7)) }, 7],
    ['in a chunk that went on too slowly', { body: () => hungBody(file.subarray(0, 7)) }, 7],
    ['in a chunk that is too long', { body: () => bodyOf(Buffer.concat([file, file])) }, 10],
  ])('%s', async (_, { body, ...more }, refused) => {
    const { engine, ann, id, sentToday } = await begin(true)

    await expect(
      engine.uploadPart(ann, id, { number: 1, body: body(), bodySize: null, digest: undefined, ...more }),
    ).rejects.toBeInstanceOf(UploadError)

    expect(await sentToday()).toBe(10 + refused)
    await engine.uploadPart(ann, id, { number: 1, body: bodyOf(file), bodySize: null, digest: undefined })
    expect(await sentToday()).toBe(10 + refused)
  })

  it.each([
    ['in an append with another checksum', { body: () => bodyOf(file), digest: wrong }, 10],
    ['in an append that is too long', { body: () => bodyOf(Buffer.concat([file, file])) }, 10],
    ['in an append that broke off, of which all is kept', { body: () => brokenBody(file.subarray(0, 7)) }, 0],
  ])('%s', async (_, { body, ...more }, refused) => {
    const { engine, ann, id, sentToday } = await begin(false)

    await engine
      .append(ann, id, { offset: 0, body: body(), bodySize: null, ending: 'at-size', ...more })
      .catch((error) => expect(error).toBeInstanceOf(UploadError))

    expect(await sentToday()).toBe(10 + refused)
  })

  it('but not where the server is in trouble', async () => {
    const { engine, ann, id, store, sentToday } = await begin(true)
    store.fault = (call) => {
      if (call === 'uploadPart') throw unavailable()
    }

    const chunk = { number: 1, body: bodyOf(file), bodySize: 10, digest: undefined }
    await expect(engine.uploadPart(ann, id, chunk)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

    expect(await sentToday()).toBe(10)
  })
})
