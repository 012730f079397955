import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { UploadPatch } from '../../../src/core/ports/uploads.ts'
import { leaseRows } from '../../../src/db/uploads/lease.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { uploadRecord } from '../../support/upload-record.ts'

const part = (number: number, size = 10) => ({ number, size, etag: 'e', crc32: null })
const tail = [{ key: 'tail', size: 4 }]
const parts = (...numbers: number[]) => numbers.map((number) => part(number))

it.each<[string, UploadPatch, { offset: number; tail?: unknown }]>([
  ['no part', { kind: 'parted' }, { offset: 0 }],
  ['the first part', { kind: 'parted', parts: parts(1) }, { offset: 10 }],
  ['parts in any order', { kind: 'parted', parts: parts(3, 1, 2) }, { offset: 30 }],
  ['a gap at the beginning', { kind: 'parted', parts: parts(2, 3) }, { offset: 0 }],
  ['a gap in between', { kind: 'parted', parts: parts(1, 2, 4) }, { offset: 20 }],
  ['a short last part', { kind: 'parted', parts: [...parts(1, 2), part(3, 5)] }, { offset: 25 }],
  ['a tail after the parts', { kind: 'parted', parts: parts(1), offset: 14, tail }, { offset: 14, tail }],
  ['a tail that a part replaced', { kind: 'parted', parts: parts(1, 2), offset: 14, tail }, { offset: 20, tail: [] }],
  ['a tail behind a gap', { kind: 'parted', parts: [], offset: 14, tail }, { offset: 0, tail: [] }],
  ['parts of a sequential upload', { parts: parts(1), offset: 10 }, { offset: 10 }],
  [
    'parts whose upload is finishing',
    { kind: 'parted', parts: parts(1), offset: 7, state: 'finishing' },
    { offset: 7 },
  ],
  ['an upload that ended', { kind: 'parted', parts: parts(1), offset: 7, state: 'cancelled' }, { offset: 7 }],
])('every read reports the offset of %s', async (_, patch, expected) => {
  const database = await testDatabase()
  const uploads = uploadRepository(database)
  const rows = leaseRows(database, 'node')
  const record = uploadRecord({ ownerId: randomUUID() })
  const { id } = record
  await uploads.insert(record, undefined)
  const lease = { id, token: randomUUID() as string }
  const { upload, revision } = (await rows.acquire(lease, 60_000))!
  await uploads.save(upload, { token: lease.token, revision }, patch)

  const read = [
    await uploads.find(id),
    (await uploads.findAll([id]))[0],
    (await uploads.list({ ownerId: record.ownerId, tenant: null }, { limit: 1 }))[0],
    await uploads.findUnlocked(id),
    (await uploads.findWithParts(id))?.upload,
    (await rows.read(id))?.upload,
    (await rows.acquire(lease, 60_000))?.upload,
  ]

  for (const found of read) expect(found).toMatchObject({ tail: patch.tail ?? [], ...expected })
})

it('a part being written counts no more, and hides the upload from a lock holder', async () => {
  const database = await testDatabase()
  const uploads = uploadRepository(database)
  const record = { ...uploadRecord(), kind: 'parted' as const, isPartial: false }
  const { id } = record
  await uploads.insert(record, undefined)
  const lock = { number: 1, token: randomUUID(), ms: 60_000, expiresAt: null, replaces: true }
  for (const number of [1, 2]) {
    await uploads.acquirePartLock(id, { ...lock, number })
    await uploads.recordPart(id, part(number), lock.token)
  }
  expect(await uploads.findUnlocked(id)).toMatchObject({ offset: 20 })

  await uploads.acquirePartLock(id, { ...lock, token: randomUUID() })

  expect(await uploads.find(id)).toMatchObject({ offset: 0 })
  expect(await uploads.findUnlocked(id)).toBeNull()
  expect(await uploads.findWithParts(id)).toEqual({ upload: expect.objectContaining({ offset: 0 }), parts: [part(2)] })
})
