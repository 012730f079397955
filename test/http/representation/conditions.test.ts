import { describe, expect, it } from 'vitest'
import { evaluatePreconditions, isRangeOfThis } from '../../../src/http/representation/conditions.ts'

const validators = { etag: '"one"', modifiedAt: new Date('1994-11-06T08:49:37.900Z') }
const at = 'Sun, 06 Nov 1994 08:49:37 GMT'
const before = 'Sun, 06 Nov 1994 08:49:36 GMT'
const after = 'Sun, 06 Nov 1994 08:49:38 GMT'

describe('the preconditions of RFC 9110, 13.2.2', () => {
  it.each([
    [{}, 'passed'],
    [{ 'if-match': '"one"' }, 'passed'],
    [{ 'if-match': '*' }, 'passed'],
    [{ 'if-match': '"two", "one"' }, 'passed'],
    [{ 'if-match': '"two"' }, 'failed'],
    [{ 'if-match': 'W/"one"' }, 'failed'],
    [{ 'if-match': 'one' }, 'failed'],
    [{ 'if-match': '' }, 'failed'],
    [{ 'if-unmodified-since': at }, 'passed'],
    [{ 'if-unmodified-since': before }, 'failed'],
    [{ 'if-unmodified-since': 'yesterday' }, 'passed'],
    [{ 'if-unmodified-since': '1' }, 'passed'],
    // If-Unmodified-Since does not count beside If-Match, nor If-Modified-Since beside If-None-Match.
    [{ 'if-match': '"one"', 'if-unmodified-since': before }, 'passed'],
    [{ 'if-match': '"two"', 'if-unmodified-since': after }, 'failed'],
    [{ 'if-none-match': '"one"' }, 'not-modified'],
    [{ 'if-none-match': 'W/"one"' }, 'not-modified'],
    [{ 'if-none-match': '"two",\t"one"' }, 'not-modified'],
    [{ 'if-none-match': '*' }, 'not-modified'],
    [{ 'if-none-match': '"two"' }, 'passed'],
    [{ 'if-none-match': '"one, "' }, 'passed'],
    [{ 'if-modified-since': at }, 'not-modified'],
    [{ 'if-modified-since': after }, 'not-modified'],
    [{ 'if-modified-since': before }, 'passed'],
    [{ 'if-modified-since': 'Sunday, 06-Nov-94 08:49:37 GMT' }, 'not-modified'],
    [{ 'if-modified-since': 'Sun Nov  6 08:49:37 1994' }, 'not-modified'],
    [{ 'if-modified-since': '1994-11-06T08:49:37Z' }, 'passed'],
    [{ 'if-none-match': '"two"', 'if-modified-since': after }, 'passed'],
    [{ 'if-none-match': '"one"', 'if-modified-since': before }, 'not-modified'],
    [{ 'if-match': '"two"', 'if-none-match': '"one"' }, 'failed'],
    [{ 'if-match': '"one"', 'if-none-match': '"one"' }, 'not-modified'],
  ])('%o: %s', (headers, expected) => {
    expect(evaluatePreconditions(headers, validators)).toBe(expected)
  })
})

describe('the range of a request applies', () => {
  it.each([
    [{}, true],
    [{ 'if-range': '"one"' }, true],
    [{ 'if-range': '"two"' }, false],
    [{ 'if-range': 'W/"one"' }, false],
    [{ 'if-range': at }, true],
    [{ 'if-range': before }, false],
    [{ 'if-range': after }, false],
    [{ 'if-range': 'one' }, false],
  ])('%o: %s', (headers, expected) => {
    expect(isRangeOfThis(headers, validators)).toBe(expected)
  })
})
