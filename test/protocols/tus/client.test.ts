import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { Upload, type UploadOptions } from 'tus-js-client'
import { describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../../src/core/ports.ts'
import { bearer, buildTestApp, type TestApp } from '../../support/build-test-app.ts'
import { withTus } from '../../support/with-tus.ts'

/** Sends with the published client, as an application would. */
function send({ url }: TestApp, file: Buffer | Readable, options: Partial<UploadOptions> = {}): Promise<Upload> {
  return new Promise((resolve, reject) => {
    const upload: Upload = new Upload(file as Buffer, {
      endpoint: `${url}/files`,
      headers: bearer(),
      metadata: { filename: 'holiday.bin', filetype: 'application/octet-stream' },
      retryDelays: [0, 100, 300],
      onSuccess: () => resolve(upload),
      onError: reject,
      ...options,
    })
    upload.start()
  })
}

async function objectsIn(store: ObjectStore): Promise<Buffer[]> {
  const found: Buffer[] = []
  for await (const key of store.list('')) {
    const chunks: Buffer[] = []
    for await (const chunk of store.read(key)) chunks.push(chunk)
    found.push(Buffer.concat(chunks))
  }
  return found
}

const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('tus-js-client', () => {
  it.each<[string, number, Partial<UploadOptions>]>([
    ['in one request', 1_000_003, {}],
    ['in chunks', 1_000_003, { chunkSize: 100_000 }],
    ['with the first bytes in the creation', 1_000_003, { chunkSize: 300_000, uploadDataDuringCreation: true }],
    ['by POST with a method override', 300_000, { overridePatchMethod: true }],
    ['of no bytes', 0, {}],
    ['in parallel parts', 1_000_003, { parallelUploads: 4 }],
  ])('sends a file %s', async (_, size, options) => {
    const test = await buildTestApp(withTus)
    const bytes = randomBytes(size)

    await send(test, bytes, options)
    await test.engine.idle()

    const objects = await objectsIn(test.store)
    expect(objects.map(sum)).toEqual([sum(bytes)])
  })

  it('sends a stream whose length it does not know', async () => {
    const test = await buildTestApp(withTus)
    const bytes = randomBytes(500_000)

    await send(test, Readable.from([bytes.subarray(0, 123_456), bytes.subarray(123_456)]), {
      uploadLengthDeferred: true,
      chunkSize: 100_000,
    })

    expect((await objectsIn(test.store)).map(sum)).toEqual([sum(bytes)])
  })

  it('goes on after an abort with not one byte twice', async () => {
    const test = await buildTestApp(withTus)
    const bytes = randomBytes(900_000)
    const first = new Upload(bytes, {
      endpoint: `${test.url}/files`,
      headers: bearer(),
      chunkSize: 100_000,
      retryDelays: null,
    })
    await new Promise<void>((resolve) => {
      first.options.onChunkComplete = (_size, accepted) => {
        if (accepted < 300_000) return
        void first.abort().then(resolve)
      }
      first.start()
    })

    const starts: number[] = []
    await send(test, bytes, { uploadUrl: first.url!, onProgress: (sent) => starts.push(sent) })

    expect(starts[0]).toBeGreaterThanOrEqual(300_000)
    expect((await objectsIn(test.store)).map(sum)).toEqual([sum(bytes)])
  })
})
