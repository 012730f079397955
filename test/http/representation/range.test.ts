import { expect, it } from 'vitest'
import { rangeOf } from '../../../src/http/representation/range.ts'

const all = 'whole'
const none = 'unsatisfiable'
const range = (start: number, end: number) => ({ start, end })

it.each([
  [undefined, 10, all],
  ['bytes=0-0', 10, range(0, 1)],
  ['bytes=0-9', 10, range(0, 10)],
  ['bytes=0-', 10, range(0, 10)],
  ['bytes=9-', 10, range(9, 10)],
  ['bytes=2-99', 10, range(2, 10)],
  ['bytes=-1', 10, range(9, 10)],
  ['bytes=-10', 10, range(0, 10)],
  ['bytes=-99', 10, range(0, 10)],
  ['BYTES=1-2', 10, range(1, 3)],
  ['bytes= 1-2 ', 10, range(1, 3)],
  ['bytes=0-99999999999999999999999999', 10, range(0, 10)],
  ['bytes=10-', 10, none],
  ['bytes=10-20', 10, none],
  ['bytes=99999999999999999999999999-', 10, none],
  ['bytes=-0', 10, none],
  ['bytes=5-4', 10, none],
  ['bytes=-', 10, none],
  ['bytes=', 10, none],
  ['bytes=a-b', 10, none],
  ['bytes=1-2-3', 10, none],
  ['bytes=+1-2', 10, none],
  ['bytes=0x1-2', 10, none],
  ['bytes=0-1,4-5', 10, all],
  ['bytes=0-1, bytes=4-5', 10, all],
  ['items=0-1', 10, all],
  ['bytes', 10, all],
  ['', 10, all],
  ['bytes=0-', 0, none],
  ['bytes=-5', 0, none],
  ['bytes=0-0', 0, none],
])('%s of %i bytes is %o', (header, size, expected) => {
  expect(rangeOf(header, size)).toEqual(expected)
})
