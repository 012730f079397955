import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { UploadRecord } from '../../../src/core/upload.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { uploadRecord } from '../../support/upload-record.ts'

const at = new Date('2026-01-02T03:04:05.678Z')
const partial = { ...uploadRecord(), kind: 'parted' as const, isPartial: true as const }
const final: UploadRecord = {
  ...uploadRecord(),
  kind: 'final',
  isPartial: false,
  partials: [randomUUID(), randomUUID()],
  uploadConcat: 'final;/a /b',
}

describe('a row', () => {
  it.each<[string, UploadRecord]>([
    ['a sequential upload', uploadRecord()],
    ['a partial upload', partial],
    ['a final upload', final],
    ['an upload of unknown length', uploadRecord({ size: null, maxSize: 2 ** 40 })],
    ['an upload of a tenant', uploadRecord({ tenant: 'acme', agent: 'acme\nbob' })],
    ['an upload with text of every kind', uploadRecord({ filename: '"\\ 文\u{1f600}.bin', metadata: 'a b,c ZA==' })],
    ['an upload that expires', uploadRecord({ expiresAt: at, timeToLiveMs: 2 ** 40, fingerprint: 'f' })],
    ['an upload with digests', uploadRecord({ digests: { expected: { md5: 'a=' }, wanted: ['sha'], actual: {} } })],
  ])('is read as it was created: %s', async (_, upload) => {
    const uploads = uploadRepository(await testDatabase())

    await uploads.insert(upload, undefined)

    expect(await uploads.find(upload.id)).toEqual({ ...upload, isBeingWritten: false })
  })

  it('keeps text that is not well-formed readable', async () => {
    const uploads = uploadRepository(await testDatabase())
    const upload = uploadRecord({ filename: 'a\ud800.bin' })

    await uploads.insert(upload, undefined)

    expect((await uploads.find(upload.id))!.filename).toBe('a\ufffd.bin')
  })
})
