import { describe, expect, it } from 'vitest'
import { limitHeader, readInteger, readIsLast } from '../../../src/protocols/rufh/fields.ts'
import { dialectOf } from '../../../src/protocols/rufh/versions.ts'

const dialect = (version: number) => dialectOf({ 'upload-draft-interop-version': String(version) })
const offset = (value: string, version = 8) =>
  readInteger({ 'upload-offset': value }, 'upload-offset', dialect(version))

describe('an Integer field', () => {
  it.each([
    ['0', 0],
    ['25', 25],
    ['25;note=1', 25],
    ['999999999999999', 999_999_999_999_999],
  ])('with the value %s is read', (text, value) => {
    expect(offset(text)).toBe(value)
  })

  it.each(['', '-1', '5.0', '1e3', '0x10', '?1', '"5"', 'five', '5, 5', '5 5', '1000000000000000', ':NQ==:'])(
    'with the value %s is ignored, and refused before version 8',
    (text) => {
      expect(offset(text)).toBeUndefined()
      expect(() => offset(text, 7)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
    },
  )
})

describe('Upload-Complete', () => {
  it.each([
    [8, 'upload-complete', '?1', true],
    [8, 'upload-complete', '?0', false],
    [8, 'upload-complete', '?1;a', true],
    [3, 'upload-incomplete', '?0', true],
    [3, 'upload-incomplete', '?1', false],
  ])('in version %i: %s %s means %s', (version, name, value, isLast) => {
    expect(readIsLast({ [name]: value }, dialect(version))).toBe(isLast)
  })

  it.each(['true', '1', '"?1"', '?2', '?1, ?1'])(
    'with the value %s is ignored, and refused before version 8',
    (value) => {
      expect(readIsLast({ 'upload-complete': value }, dialect(10))).toBeUndefined()
      expect(() => readIsLast({ 'upload-complete': value }, dialect(6))).toThrow(
        expect.objectContaining({ code: 'INVALID_REQUEST' }),
      )
    },
  )

  it('is not read from the header of another version', () => {
    expect(readIsLast({ 'upload-incomplete': '?0' }, dialect(6))).toBeUndefined()
    expect(readIsLast({ 'upload-complete': '?1' }, dialect(3))).toBeUndefined()
  })
})

describe('Upload-Limit', () => {
  it.each([
    [3, undefined],
    [5, undefined],
    [6, 'max-size=100, min-size=0, expires=61'],
    [7, 'max-size=100, min-size=0, max-age=61'],
    [10, 'max-size=100, min-size=0, max-age=61'],
  ])('has the keys of version %i', (version, header) => {
    expect(limitHeader(dialect(version), { maxSize: 100, expiresAt: new Date(61_500) }, 0)['upload-limit']).toBe(header)
  })

  it('has only min-size=0 when no limits are known', () => {
    expect(limitHeader(dialect(6), null)['upload-limit']).toBe('min-size=0')
  })

  it('has Integers of at most fifteen digits', () => {
    expect(limitHeader(dialect(6), { maxSize: Number.MAX_SAFE_INTEGER })['upload-limit']).toBe(
      'max-size=999999999999999, min-size=0',
    )
  })
})

describe('the interop version of a request', () => {
  it.each([
    [{ 'upload-draft-interop-version': '6' }, 6, true],
    [{ 'upload-draft-interop-version': '2' }, 10, false],
    [{ 'upload-draft-interop-version': '99' }, 10, false],
    [{ 'upload-draft-interop-version': 'x' }, 10, false],
    [{ 'upload-draft-interop-version': '6, 8' }, 10, false],
    [{}, 10, false],
    [{ 'upload-incomplete': '?0' }, 3, false],
  ])('with the headers %j is %i', (headers, version, isNamed) => {
    expect(dialectOf(headers)).toMatchObject({ version, isNamed })
  })
})
