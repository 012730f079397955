import { describe, expect, it } from 'vitest'
import { bodySizeOf, hasBody, isOfType } from '../../../src/http/body/length.ts'

describe('the length of a body', () => {
  it.each([
    [{}, 0, false],
    [{ 'content-length': '0' }, 0, false],
    [{ 'content-length': '5' }, 5, true],
    [{ 'transfer-encoding': 'chunked' }, null, true],
    // Node refuses such a request; the framing of the message is the transfer coding (RFC 9112, section 6.3).
    [{ 'transfer-encoding': 'chunked', 'content-length': '5' }, null, true],
  ])('with %j is %s', (headers, size, has) => {
    expect(bodySizeOf(headers)).toBe(size)
    expect(hasBody(headers)).toBe(has)
  })
})

describe('the type of a body', () => {
  it.each([
    ['application/partial-upload', true],
    ['Application/Partial-Upload; x=1', true],
    [' application/partial-upload ', true],
    ['application/partial-uploads', false],
    ['x, application/partial-upload', false],
    [undefined, false],
  ])('%s is application/partial-upload: %s', (type, isSame) => {
    expect(isOfType(type === undefined ? {} : { 'content-type': type }, 'application/partial-upload')).toBe(isSame)
  })
})
