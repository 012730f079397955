import { expect, it } from 'vitest'
import { progressPatch } from '../../../src/core/parts/progress-patch.ts'

const stored = (number: number) => ({ stored: { number, size: 10, etag: 'e', crc32: null }, tailObjects: [] })
const filling = (...sizes: number[]) => ({
  stored: null,
  tailObjects: sizes.map((size, at) => ({ key: `tail-${at}-${size}`, size })),
})
const row = { offset: 0, prefix: null, tail: [], multipartId: null, lossSeenAt: null }
const body = { multipartId: null, size: 100, hasEnded: false }

it.each([
  ['nothing new', row, { ...body, parts: [filling()] }, null],
  ['a tail object', row, { ...body, parts: [filling(3)] }, { offset: 3, parts: [], tail: filling(3).tailObjects }],
  [
    'a stored part',
    row,
    { ...body, parts: [stored(1), filling()], multipartId: 'm' },
    { offset: 10, multipartId: 'm' },
  ],
  ['a multipart upload alone', row, { ...body, parts: [filling()], multipartId: 'm' }, { offset: 0, multipartId: 'm' }],
  [
    'the tail that is named',
    { ...row, offset: 3, tail: filling(3).tailObjects },
    { ...body, parts: [filling(3)] },
    null,
  ],
  [
    'joined tail objects',
    { ...row, offset: 3, tail: filling(1, 2).tailObjects },
    { ...body, parts: [filling(3)] },
    { offset: 3, tail: filling(3).tailObjects },
  ],
  // More bytes than the file has may still come.
  ['the last byte, before the end', row, { ...body, size: 10, parts: [stored(1)] }, null],
  ['the last byte, at the end', row, { ...body, size: 10, parts: [stored(1)], hasEnded: true }, { offset: 10 }],
  // The row keeps the prefix until the store has all of it.
  ['less than the prefix', { ...row, offset: 5, prefix: Buffer.alloc(5) }, { ...body, parts: [filling(3)] }, null],
  [
    'more than the prefix',
    { ...row, offset: 5, prefix: Buffer.alloc(5) },
    { ...body, parts: [filling(7)] },
    { offset: 7, prefix: null },
  ],
  ['a part after a loss', { ...row, lossSeenAt: new Date(0) }, { ...body, parts: [stored(1)] }, { lossSeenAt: null }],
])('of %s is saved what may be recorded', (_, upload, progress, expected) => {
  const found = progressPatch(upload, progress)

  if (expected === null) expect(found).toBeNull()
  else expect(found?.patch).toMatchObject(expected)
})
