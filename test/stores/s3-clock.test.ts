import { expect, it, onTestFinished } from 'vitest'
import { s3Options } from '../../src/stores/s3/options.ts'
import { createServerClock } from '../../src/stores/s3/server-clock.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { startS3StandIn } from '../support/s3-stand-in.ts'
import { inChunks } from './contract.ts'

const minute = 60_000
const partSize = 5 * 1024 ** 2
const metadata = { contentType: 'text/plain' }

it.each([20 * minute, -20 * minute, 3 * 24 * 60 * minute])(
  'stores bytes in a bucket whose clock is %i ms ahead of ours',
  async (aheadMs) => {
    const { server, store } = await openBucket()
    server.setClock(aheadMs)
    const parts = ['a', 'b', 'c'].map((letter) => Buffer.alloc(partSize, letter))

    const small = await store.put('small', inChunks(Buffer.from('hello')), metadata)
    const multipartId = await store.createMultipart('large', { ...metadata, partSize })
    const receipts = await Promise.all(
      parts.map((part, index) => store.uploadPart('large', multipartId, index + 1, inChunks(part))),
    )
    const large = await store.completeMultipart('large', multipartId, receipts)

    expect(small.size).toBe(5)
    expect(large.size).toBe(3 * partSize)
  },
)

it('retries each part once when the clock of the bucket is set during the upload', async () => {
  const { server, store } = await openBucket()
  const multipartId = await store.createMultipart('large', { ...metadata, partSize })
  await store.uploadPart('large', multipartId, 1, inChunks(Buffer.alloc(partSize)))

  server.setClock(-40 * minute)
  server.forgetRequests()
  const sent = await Promise.all(
    [2, 3, 4, 5].map((number) => store.uploadPart('large', multipartId, number, inChunks(Buffer.alloc(partSize)))),
  )
  server.setClock(0)
  await store.uploadPart('large', multipartId, 6, inChunks(Buffer.alloc(partSize)))

  expect(sent).toHaveLength(4)
  expect(server.requests.UploadPart).toBeLessThanOrEqual(10)
})

it('does not retry a request that was refused for another reason than its time', async () => {
  const { server, store } = await openBucket()
  server.faults.next('PutObject', { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })

  await expect(store.put('small', inChunks(Buffer.from('hello')), metadata)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  })
  expect(server.requests.PutObject).toBe(1)
})

it.each([undefined, 'yesterday', ''])('does not correct the clock by an error response with the date %s', (date) => {
  const clock = createServerClock(() => 1_000_000)

  expect(clock.correct(clock.now(), date)).toBe(false)
  expect(clock.now().getTime()).toBe(1_000_000)
})

async function openBucket() {
  const server = await startS3StandIn()
  const { S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY } = server.settings
  const store = s3Store(s3Options.parse({ S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY }))
  onTestFinished(async () => {
    await store.close()
    await server.close()
  })
  return { server, store }
}
