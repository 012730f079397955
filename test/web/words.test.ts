import { describe, expect, it } from 'vitest'
import { noAnswer, readFailure } from '../../src/client/request-error.ts'
import { formatBytes, formatDate, formatDuration, formatExactly, percent } from '../../src/web/ui/format.ts'
import { explain, files } from '../../src/web/ui/messages.ts'

describe('formatting', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [200 * 1024 ** 2, '200 MiB'],
    [10 * 1024 ** 3, '10 GiB'],
    [5 * 1024 ** 4, '5 TiB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it.each([
    [200, '1 s'],
    [59_000, '59 s'],
    [90_000, '2 min'],
    [3_600_000, '1 h'],
    [4_800_000, '1 h 20 min'],
    [200_000_000, '2 d'],
  ])('%i milliseconds are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  it('returns 100 percent only when all bytes are there', () => {
    expect([percent(0, 10), percent(9_999, 10_000), percent(10, 10), percent(0, 0)]).toEqual([0, 99, 100, 100])
  })

  it('formats a date with its year, and an exact one with seconds', () => {
    const moment = '2026-03-09T12:34:56Z'

    expect(formatDate(moment)).toMatch(/2026/)
    expect(formatDate(moment)).toMatch(/9/)
    expect(formatExactly(moment)).toMatch(/2026.*34.56/)
  })

  it('counts files', () => {
    expect([files(1), files(2), files(50, true), files(1, true)]).toEqual([
      '1 file',
      '2 files',
      '50+ files',
      '1+ files',
    ])
  })
})

describe('the message for a failure', () => {
  const messageFor = (status: number, body: string) => explain(readFailure('POST', status, body, null))
  const errorBody = (code: string, message: string) => JSON.stringify({ error: { code, message, timestamp: '' } })

  it('is the message of the server', () => {
    const sentence = 'A subscriber may send at most 200 MiB.'

    expect(messageFor(413, errorBody('FILE_TOO_LARGE', sentence))).toBe(sentence)
  })

  it('is replaced where the page has a clearer one', () => {
    expect(messageFor(410, errorBody('UPLOAD_EXPIRED', 'expired'))).toMatch(/has expired/)
    expect(explain(noAnswer('PATCH'))).toBe('The server does not respond.')
  })

  it('exists for responses of proxies too', () => {
    expect(messageFor(413, '<html>Request Entity Too Large</html>')).toMatch(/A proxy between this page and the server/)
    expect(messageFor(502, '<html>Bad Gateway</html>')).toBe('The server is busy or restarting.')
    expect(messageFor(418, '')).toBe('The server sent an unexpected response (418).')
  })
})
