import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { s3Options } from '../../src/stores/s3/options.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { ada, bodyOf, openEngine } from '../support/open-engine.ts'
import { startS3StandIn } from '../support/s3-stand-in.ts'

const partSize = 5 * 1024 ** 2
const size = 2 * partSize

async function openOnStandIn() {
  const s3 = await startS3StandIn({ equalParts: true })
  const store = s3Store(s3Options.parse(s3.settings))
  onTestFinished(async () => {
    await store.close()
    await s3.close()
  })
  const { engine } = await openEngine({ store, partSize, finishWaitMs: 10_000 })
  return { s3, engine }
}

// The answer to a performed request is lost, or the request fails with or without being performed. The store retries by itself.
it.each(
  ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'HeadObject', 'AbortMultipartUpload'].flatMap(
    (operation) => [
      [operation, 'is lost', { dropReply: true }] as const,
      [operation, 'is a failure', { status: 500 }] as const,
      [operation, 'is a failure although it was performed', { status: 500, perform: true }] as const,
    ],
  ),
)('completes a file and leaves nothing else when an answer to %s %s', async (operation, _, fault) => {
  const { s3, engine } = await openOnStandIn()
  s3.faults.next(operation, fault)
  const bytes = randomBytes(size)

  const { id } = await engine.create(ada, { filename: 'a', contentType: 'application/octet-stream', size })
  const upload = await engine.append(ada, id, { offset: 0, body: bodyOf(bytes), bodySize: size, ending: 'at-size' })
  await engine.drained()

  expect(upload.state).toBe('completed')
  expect((await s3.bytesOf(upload.key))?.equals(bytes)).toBe(true)
  expect(s3.objects()).toHaveLength(1)
  expect(s3.multiparts()).toEqual([])
})

it('never reads the offset of an upload from listings of the bucket, which may lag', async () => {
  const { s3, engine } = await openOnStandIn()
  const bytes = randomBytes(3 * partSize + 7)
  const { id } = await engine.create(ada, { filename: 'a', contentType: 'video/mp4', size: bytes.length })

  const ends = [partSize + 5, 2 * partSize, 2 * partSize + 9, bytes.length]
  for (const [index, end] of ends.entries()) {
    const offset = ends[index - 1] ?? 0
    const body = bodyOf(bytes.subarray(offset, end))
    await engine.append(ada, id, { offset, body, bodySize: end - offset, ending: 'at-size' })
    expect((await engine.status(ada, id)).offset).toBe(end)
  }

  // Only after its completion the tail objects are listed, to remove them.
  const operations = s3.seen.map(({ operation }) => operation)
  const untilCompleted = operations.slice(0, operations.indexOf('CompleteMultipartUpload') + 1)
  expect(untilCompleted).toContain('UploadPart')
  expect(untilCompleted.filter((operation) => operation.startsWith('List'))).toEqual([])
})
