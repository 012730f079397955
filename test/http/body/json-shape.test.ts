import { expect, it } from 'vitest'
import { exceededLimit } from '../../../src/http/body/json-shape.ts'

const limits = { depth: 3, values: 8 }

it.each([
  ['[[[]]]', null],
  ['[[[[]]]]', 'depth'],
  ['[{"a":[{', 'depth'],
  ['{"a":"[[[[[[["}', null],
  ['{"a":"\\"[[[[[["}', null],
  ['{"a":"\\\\"}', null],
  ['[1,2,3,4,5,6,7,8]', 'values'],
  ['[1,2,3,4,5,6]', null],
  ['{"a":1,"b":2,"c":3}', null],
  ['{"a":1,"b":2,"c":3,"d":4}', 'values'],
  ['[[],[],[],[],[]]', 'values'],
  [']]]][[[[[[[', 'depth'],
  ['"no end', null],
  ['"no end\\', null],
  ['', null],
])('in %s the exceeded limit is %s', (text, excess) => {
  expect(exceededLimit(Buffer.from(text), limits)).toBe(excess)
})

it('twelve megabytes of brackets are refused without reading them all', () => {
  expect(exceededLimit(Buffer.alloc(12 * 1024 ** 2, '['), { depth: 32, values: 1000 })).toBe('depth')
})
