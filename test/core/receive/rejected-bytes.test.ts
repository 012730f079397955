import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../../src/core/engine.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { type SentUpload, userOf } from '../../../src/core/upload.ts'
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

/** An upload of 10 bytes by a new user, and the daily bytes of that user. */
async function createUpload(kind: SentUpload['kind']) {
  const { engine, database, store } = await openEngine({ bodyIdleMs: 1000 })
  const ann = userOf(randomUUID(), 'creator')
  const creation = { size: 10, filename: 'a.bin', contentType: 'application/octet-stream', kind }
  const { id } = await engine.create(ann, creation)
  const dailyBytes = async () => {
    await engine.drained()
    return (await findUsageOf(database, ann)).dayBytes
  }
  return { engine, ann, id, store, dailyBytes }
}

describe('rejected bytes count for the daily bytes of their owner', () => {
  it.each([
    ['in a part with a wrong checksum', { body: () => bodyOf(file), digest: wrong }, 10],
    ['in a part that broke off', { body: () => brokenBody(file.subarray(0, 7)) }, 7],
    ['in a part that stalled', { body: () => hungBody(file.subarray(0, 7)) }, 7],
    ['in a part that is too long', { body: () => bodyOf(Buffer.concat([file, file])) }, 10],
  ])('%s', async (_, { body, ...more }, refused) => {
    const { engine, ann, id, dailyBytes } = await createUpload('parted')

    await expect(
      engine.uploadPart(ann, id, { number: 1, body: body(), bodySize: null, digest: undefined, ...more }),
    ).rejects.toBeInstanceOf(UploadError)

    expect(await dailyBytes()).toBe(10 + refused)
    await engine.uploadPart(ann, id, { number: 1, body: bodyOf(file), bodySize: null, digest: undefined })
    expect(await dailyBytes()).toBe(10 + refused)
  })

  it.each([
    ['in an append with a wrong checksum', { body: () => bodyOf(file), digest: wrong }, 10],
    ['in an append that is too long', { body: () => bodyOf(Buffer.concat([file, file])) }, 10],
    ['in an append that broke off, except those that are kept', { body: () => brokenBody(file.subarray(0, 7)) }, 0],
  ])('%s', async (_, { body, ...more }, refused) => {
    const { engine, ann, id, dailyBytes } = await createUpload('sequential')

    await engine
      .append(ann, id, { offset: 0, body: body(), bodySize: null, ending: 'at-size', ...more })
      .catch((error) => expect(error).toBeInstanceOf(UploadError))

    expect(await dailyBytes()).toBe(10 + refused)
  })

  it('but not after errors of the store', async () => {
    const { engine, ann, id, store, dailyBytes } = await createUpload('parted')
    store.fault = (call) => {
      if (call === 'uploadPart') throw unavailable()
    }

    const chunk = { number: 1, body: bodyOf(file), bodySize: 10, digest: undefined }
    await expect(engine.uploadPart(ann, id, chunk)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

    expect(await dailyBytes()).toBe(10)
  })
})
