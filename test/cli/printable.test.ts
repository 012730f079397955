import { describe, expect, it } from 'vitest'
import { printable, printableLine } from '../../src/cli/printable.ts'

describe('text of clients for a terminal', () => {
  it.each([
    ['photo\u202egpj.exe', 'photo\\u202egpj.exe'],
    ['\u2066a\u2069\u200f\u061c', '\\u2066a\\u2069\\u200f\\u061c'],
    ['\u001b]0;owned\u0007', '\\u001b]0;owned\\u0007'],
    ['\u009b31m', '\\u009b31m'],
    ['a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['a\r\u0000\u007f', 'a\\u000d\\u0000\\u007f'],
    ['a\u2028b\u2029', 'a\\u2028b\\u2029'],
    ['\u{e0041}', '\\udb40\\udc41'],
    ['half \ud800 pair', 'half \\ud800 pair'],
    ['صورة.jpg, naïve ☃ 😀', 'صورة.jpg, naïve ☃ 😀'],
  ])('prints %j as %s', (text, printed) => {
    expect(printable(text)).toBe(printed)
    expect(printableLine(text)).toBe(printed)
  })

  it('keeps line feeds and tabs in a text, and escapes them in a line', () => {
    expect(printable('a\n\tb')).toBe('a\n\tb')
    expect(printableLine('a\n\tb')).toBe('a\\u000a\\u0009b')
  })

  it('keeps JSON valid', () => {
    const value = { name: 'a\u202eb"\\' }

    expect(JSON.parse(printable(JSON.stringify(value, null, 2)))).toEqual(value)
  })
})
