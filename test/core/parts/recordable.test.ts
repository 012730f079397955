import { expect, it } from 'vitest'
import { recordable } from '../../../src/core/parts/recordable.ts'

/** Parts in the making: `P` is stored, a number is a tail object of so many bytes, `-` has neither. */
const drawn = (drawing: string) =>
  drawing.split(' ').map((part, at) => ({
    stored: part.startsWith('P') ? { number: at + 1, size: 10, etag: `e${at + 1}`, crc32: at } : null,
    tailObjects: [...part.matchAll(/\d/g)].map(([size]) => ({ key: `${at + 1}/${size}`, size: Number(size) })),
  }))

it.each([
  ['-', [], [], 0, []],
  ['3', [], ['1/3'], 3, []],
  ['34', [], ['1/3', '1/4'], 7, []],
  ['P', [1], [], 10, []],
  ['P P -', [1, 2], [], 20, []],
  ['P P 4', [1, 2], ['3/4'], 24, []],
  // A part that is stored behind a gap is not recorded yet.
  ['- P P', [], [], 0, []],
  ['P - P', [1], [], 10, []],
  ['3 P', [], ['1/3'], 3, []],
  // Tail objects of a stored part are replaced by it.
  ['P34 -', [1], [], 10, ['1/3', '1/4']],
  ['P3 P4 5', [1, 2], ['3/5'], 25, ['1/3', '2/4']],
] as const)('of %s are recorded parts %j, tail %j, %i bytes, replaced %j', (drawing, parts, tail, size, replaced) => {
  const found = recordable(drawn(drawing))

  expect(found.parts.map(({ number }) => number)).toEqual(parts)
  expect(found.tail.map(({ key }) => key)).toEqual(tail)
  expect(found.size).toBe(size)
  expect(found.replaced).toEqual(replaced)
})
