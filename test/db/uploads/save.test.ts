import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { eventOf } from '../../../src/core/events.ts'
import type { Fence, UploadPatch } from '../../../src/core/ports/uploads.ts'
import type { UploadRecord } from '../../../src/core/upload.ts'
import type { Database } from '../../../src/db/open.ts'
import { leaseRows } from '../../../src/db/uploads/lease.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { uploadRecord } from '../../support/upload-record.ts'

/** An upload whose lease is held, and a repository on a database that may lose answers. */
async function openLocked(faulty: (database: Database) => Partial<Database> = () => ({})) {
  const database = await testDatabase()
  const record = uploadRecord()
  await uploadRepository(database).insert(record, eventOf('upload.created', record))
  const rows = leaseRows(database, 'node')
  const token: string = randomUUID()
  const { upload, revision } = (await rows.acquire({ id: record.id, token }, 60_000))!
  const uploads = uploadRepository({ ...database, ...faulty(database) })
  let next = revision
  return {
    id: record.id,
    upload,
    uploads,
    rows,
    database,
    /** Saves as a lock holder does, each time with the next revision. */
    save(patch: UploadPatch, fence: Fence = { token, revision: next }) {
      next += 1
      return uploads.save(upload, fence, patch)
    },
    token,
    read: async (): Promise<UploadRecord> => (await uploads.find(record.id))!,
  }
}

const eventsOf = (database: Database, id: string) =>
  database.query<{ seq: number; type: string }>(
    { name: 'test-events', text: 'select seq, type from upload_events where upload_id = $1 order by seq' },
    [id],
  )

/** The first save runs, and its answer is lost. */
const losesFirstAnswer = (database: Database) => {
  let isLost = false
  return {
    async queryOnce<T>(...args: Parameters<Database['queryOnce']>) {
      const rows = await database.queryOnce<T>(...args)
      if (isLost) return rows
      isLost = true
      return undefined
    },
  }
}

describe('a save', () => {
  it.each<[string, (own: Fence) => Fence]>([
    ['another token', ({ revision }) => ({ token: randomUUID(), revision })],
    ['an older revision', ({ token, revision }) => ({ token, revision: revision - 1 })],
    ['a later revision', ({ token, revision }) => ({ token, revision: revision + 1 })],
  ])('with %s changes nothing', async (_, fence) => {
    const { save, read, token, uploads, id } = await openLocked()
    const before = await read()

    const isSaved = await save(
      { offset: 10, state: 'cancelled', parts: [{ number: 1, size: 10, etag: 'x', crc32: null }] },
      fence({ token, revision: 0 }),
    )

    expect(isSaved).toBe(false)
    expect(await read()).toEqual(before)
    expect(await uploads.parts(id)).toEqual([])
  })

  const at = new Date('2026-01-02T03:04:05.678Z')
  it.each<[string, UploadPatch]>([
    ['the offset and the tail', { offset: 7, tail: [{ key: 'tail "1"', size: 7 }] }],
    ['the length', { size: 50, partSize: 5 }],
    ['the media type and its key', { contentType: 'text/css', category: 'other', key: randomUUID() }],
    ['a prefix', { prefix: Buffer.from([0, 255, 10, 92]) }],
    ['the multipart upload', { multipartId: 'id\\"', kind: 'parted' }],
    ['times', { expiresAt: at, lossSeenAt: at, deleteDueAt: at }],
    ['digests', { digests: { expected: { md5: 'a=' }, wanted: ['sha-256'], actual: {} } }],
    ['the end', { state: 'failed', failure: 'digest', needsCleanup: true }],
    ['completion', { state: 'completed', offset: 100, etag: '"e"', completedAt: at }],
    ['nothing', {}],
  ])('changes %s, and keeps everything else', async (_, patch) => {
    const { save, read } = await openLocked()
    const before = await read()

    expect(await save(patch)).toBe(true)

    const { updatedAt, ...after } = await read()
    expect(after).toEqual({ ...before, ...patch, updatedAt: undefined, ...(patch.state && { isBeingWritten: false }) })
    expect(updatedAt.getTime()).toBeGreaterThanOrEqual(before.updatedAt.getTime())
  })

  it('sets to null what its patch says is null', async () => {
    const { save, read } = await openLocked()
    await save({ expiresAt: at, lossSeenAt: at, prefix: Buffer.from('a'), multipartId: 'm', failure: 'type', size: 9 })

    const nothing = { expiresAt: null, lossSeenAt: null, prefix: null, multipartId: null, failure: null, size: null }
    expect(await save(nothing)).toBe(true)

    expect(await read()).toMatchObject(nothing)
  })

  it('adds, replaces and removes receipts of parts', async () => {
    const { save, uploads, id } = await openLocked()
    const part = (number: number, etag: string) => ({
      number,
      size: 10,
      etag,
      crc32: number === 1 ? null : 0xffff_ffff - etag.length,
    })
    await save({ parts: [part(1, 'a'), part(2, 'b'), part(3, 'c')] })

    await save({ parts: [part(2, 'new')], forget: [3] })
    expect(await uploads.parts(id)).toEqual([part(1, 'a'), part(2, 'new')])
    await save({ forget: [2] })
    expect(await uploads.parts(id)).toEqual([part(1, 'a')])
    await save({ state: 'cancelled' })

    expect(await uploads.parts(id)).toEqual([])
  })

  it('is refused after one that released the lease', async () => {
    const { save } = await openLocked()

    expect(await save({ offset: 1, release: true })).toBe(true)

    expect(await save({ offset: 2 })).toBe(false)
  })
})

describe('a save whose answer was lost', () => {
  it('is recognized by its revision and made once', async () => {
    const { save, read, database, id } = await openLocked(losesFirstAnswer)

    expect(await save({ offset: 5, event: { type: 'upload.completed', uploadId: id, data: {} } })).toBe(true)
    expect(await save({ offset: 6 })).toBe(true)

    expect(await eventsOf(database, id)).toEqual([
      { seq: 1, type: 'upload.created' },
      { seq: 2, type: 'upload.completed' },
    ])
    expect((await read()).offset).toBe(6)
  })

  it('is recognized when it also released the lease', async () => {
    const { save, read } = await openLocked(losesFirstAnswer)

    expect(await save({ offset: 5, release: true })).toBe(true)

    expect((await read()).offset).toBe(5)
  })

  it('is repeated when it did not run', async () => {
    const { save, read } = await openLocked(() => ({ queryOnce: async () => undefined }))

    expect(await save({ offset: 5 })).toBe(true)

    expect((await read()).offset).toBe(5)
  })

  it('is not confused with a save of the next holder', async () => {
    const reachesNothing = { queryOnce: async () => undefined }
    const { save, read, rows, upload, id, token, database } = await openLocked(() => reachesNothing)
    const next = randomUUID()
    await rows.renew([{ id, token }], -1)
    const { revision } = (await rows.acquire({ id, token: next }, 60_000))!
    await uploadRepository(database).save(upload, { token: next, revision }, { state: 'cancelled', release: true })

    expect(await save({ offset: 50, release: true })).toBe(false)

    expect(await read()).toMatchObject({ offset: 0, state: 'cancelled' })
  })
})
