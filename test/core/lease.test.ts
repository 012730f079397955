import { describe, expect, it } from 'vitest'
import { createLeases, type Lease } from '../../src/core/lease.ts'
import type { UploadPatch, UploadRepository } from '../../src/core/ports/uploads.ts'
import { createLocker } from '../../src/locks/locker.ts'
import { memoryLeases } from '../../src/locks/memory.ts'
import { memoryUploads } from '../support/memory-uploads.ts'

/** Leases over uploads in memory. */
async function open(faulty: Partial<UploadRepository> = {}) {
  const uploads = memoryUploads()
  const locker = await createLocker(memoryLeases(uploads.leases), { leaseMs: 60_000, waitMs: 1000, onError() {} })
  const errors: unknown[] = []
  const leases = createLeases(locker, { uploads: { ...uploads, ...faulty }, onError: (error) => errors.push(error) })
  const withLease = <T>(id: string, work: (lease: Lease) => Promise<T>) => leases.withLease(id, () => {}, work)
  return { uploads, withLease, errors }
}

describe('a lease', () => {
  it('runs concurrent saves of its holder one after another', async () => {
    const { uploads, withLease } = await open()
    const id = await uploads.create()

    await withLease(id, (lease) => Promise.all([lease.save({ contentType: 'text/css' }), lease.save({ offset: 5 })]))

    expect(await uploads.find(id)).toMatchObject({ contentType: 'text/css', offset: 5 })
  })

  it('shows the upload as it was saved, without what is not part of the row', async () => {
    const { uploads, withLease } = await open()

    const upload = await withLease(await uploads.create({ prefix: Buffer.from('a') }), async (lease) => {
      await lease.save({ offset: 7, prefix: null, parts: [{ number: 1, size: 7, etag: 'x', crc32: 7 }] })
      return lease.upload
    })

    expect(upload).toMatchObject({ offset: 7, prefix: null })
    expect(upload).not.toHaveProperty('parts')
  })

  it('is lost when a save is refused', async () => {
    const { uploads, withLease } = await open()
    const id = await uploads.create()

    const signal = await withLease(id, async (lease) => {
      await uploads.takeOver(id)
      await expect(lease.save({ offset: 7 })).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
      return lease.signal
    })

    expect(signal.reason).toBe('lost')
    expect(await uploads.find(id)).toMatchObject({ offset: 0 })
  })

  it('reduces the reservation once, when the length becomes known', async () => {
    const { uploads, withLease } = await open()

    await withLease(await uploads.create({ size: null }), async (lease) => {
      await lease.save({ offset: 5 })
      await lease.save({ size: 50 })
      await lease.save({ size: 50 })
    })

    expect(uploads.calls.filter(([call]) => call === 'shrinkReservation')).toHaveLength(1)
  })
})

describe('an object that is not named in the row', () => {
  const tail = [{ key: 'tail', size: 1 }]

  it.each<[string, UploadPatch | null, string[], boolean]>([
    ['is recorded when the lease is released', null, ['markNeedsCleanup'], true],
    ['is recorded by the save that releases the lease', { offset: 1, release: true }, ['save'], true],
    ['is not recorded when that save names it', { offset: 1, tail, release: true }, ['save'], false],
    ['is not recorded when an earlier save named it', { offset: 1, tail }, ['save'], false],
  ])('%s', async (_, patch, calls, needsCleanup) => {
    const { uploads, withLease } = await open()
    const id = await uploads.create()

    await withLease(id, async (lease) => {
      await lease.ledger.writing('tail', async () => {})
      if (patch) await lease.save(patch)
    })

    expect(uploads.calls.map(([call]) => call)).toEqual(calls)
    expect(await uploads.find(id)).toMatchObject({ needsCleanup })
  })

  it('is recorded when the save that may have named it failed', async () => {
    const { uploads, withLease } = await open({ save: () => Promise.reject(new Error('the database is away')) })
    const id = await uploads.create()

    const failed = withLease(id, async (lease) => {
      await lease.ledger.writing('tail', async () => {})
      await lease.save({ offset: 1, tail, release: true })
    })

    await expect(failed).rejects.toThrow('the database is away')
    expect(await uploads.find(id)).toMatchObject({ offset: 0, needsCleanup: true })
  })

  it('is recorded when another holder has taken over', async () => {
    const { uploads, withLease } = await open()
    const id = await uploads.create()

    await withLease(id, async (lease) => {
      await lease.ledger.writing('tail', async () => {})
      await uploads.takeOver(id)
      await lease.save({ offset: 10 }).catch(() => {})
    })

    expect(uploads.calls.at(-1)).toEqual(['markNeedsCleanup'])
    expect(await uploads.find(id)).toMatchObject({ offset: 0, needsCleanup: true })
  })
})
