import { describe, expect, it } from 'vitest'
import { noAnswer, readFailure } from '../../src/client/request-error.ts'
import { formatBytes, formatDate, formatDuration, formatExactly, percent } from '../../src/web/upload/format.ts'
import { explain, files } from '../../src/web/upload/messages.ts'

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [200 * 1024 ** 2, '200 MiB'],
    [10 * 1024 ** 3, '10 GiB'],
    [5 * 1024 ** 4, '5 TiB'],
  ])('%i bytes are %s', (bytes, words) => {
    expect(formatBytes(bytes)).toBe(words)
  })

  it.each([
    [200, '1 s'],
    [59_000, '59 s'],
    [90_000, '2 min'],
    [3_600_000, '1 h'],
    [4_800_000, '1 h 20 min'],
    [200_000_000, '2 d'],
  ])('%i milliseconds are %s', (ms, words) => {
    expect(formatDuration(ms)).toBe(words)
  })

  it('say 100 percent only when everything is there', () => {
    expect([percent(0, 10), percent(9_999, 10_000), percent(10, 10), percent(0, 0)]).toEqual([0, 99, 100, 100])
  })

  it('tell a day with its year, and all of it when asked', () => {
    const moment = '2026-03-09T12:34:56Z'

    expect(formatDate(moment)).toMatch(/2026/)
    expect(formatDate(moment)).toMatch(/9/)
    expect(formatExactly(moment)).toMatch(/2026.*34.56/)
  })

  it('count files', () => {
    expect([files(1), files(2), files(50, true), files(1, true)]).toEqual([
      '1 file',
      '2 files',
      '50+ files',
      '1+ files',
    ])
  })
})

describe('what went wrong', () => {
  const refused = (status: number, body: string) => explain(readFailure('POST', status, body, null))
  const said = (code: string, message: string) => JSON.stringify({ error: { code, message, timestamp: '' } })

  it('is said with the server’s sentence', () => {
    const sentence = 'A subscriber may send at most 200 MiB.'

    expect(refused(413, said('FILE_TOO_LARGE', sentence))).toBe(sentence)
  })

  it('is said better where the page knows more', () => {
    expect(refused(410, said('UPLOAD_EXPIRED', 'expired'))).toMatch(/has expired/)
    expect(explain(noAnswer('PATCH'))).toBe('The server does not answer.')
  })

  it('is said even when somebody else answered', () => {
    expect(refused(413, '<html>Request Entity Too Large</html>')).toMatch(/between here and the server/)
    expect(refused(502, '<html>Bad Gateway</html>')).toBe('The server is busy or restarting.')
    expect(refused(418, '')).toBe('The server answered with something unexpected (418).')
  })
})
