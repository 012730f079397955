import { describe, expect, it } from 'vitest'
import { isText, textStream } from '../../src/http/log-text.ts'

describe('the log on a terminal', () => {
  it.each([
    ['auto', true, true],
    ['auto', undefined, false],
    ['json', true, false],
    ['text', undefined, true],
  ] as const)('with LOG_FORMAT=%s and isTTY=%s is text: %s', (format, isTTY, expected) => {
    expect(isText(format, { isTTY })).toBe(expected)
  })

  it('has time, level, message, request and fields in one line', () => {
    const line = written({
      level: 'info',
      time: '2026-01-02T03:04:05.678Z',
      pid: 1,
      hostname: 'host',
      requestId: 'r',
      req: { method: 'GET', url: '/v1/me', remoteAddress: '127.0.0.1' },
      res: { status: 200 },
      ms: 12,
      uploadId: 'abc',
      note: 'two words',
      msg: 'request done',
    })

    expect(line).toMatch(
      /^\d\d:\d\d:\d\d {2}INFO {3}request done {2}GET \/v1\/me 200 12 ms {2}uploadId=abc {2}note="two words"\n$/,
    )
  })

  it('shows the stack of an error below its line', () => {
    const text = written({ level: 'error', msg: 'failed', err: { message: 'm', stack: 'Error: m\n    at here' } })

    expect(text.split('\n').slice(1)).toEqual(['    Error: m', '    at here', ''])
  })

  it('escapes characters that move the cursor, color text or reorder the line', () => {
    const text = written({
      level: 'info',
      msg: 'a\nb',
      req: { method: 'GET', url: '/\u001b[2J\u202e' },
      name: 'x\rgone',
    })

    for (const char of ['\r', '\u001b', '\u202e']) expect(text).not.toContain(char)
    expect(text.trimEnd()).not.toContain('\n')
    expect(text).toContain('\\u001b[2J\\u202e')
  })

  it('passes on lines that are not JSON', () => {
    const texts: string[] = []
    textStream({ write: (text) => texts.push(text) }).write('plain\n')

    expect(texts).toEqual(['plain\n'])
  })
})

function written(entry: object): string {
  const texts: string[] = []
  textStream({ write: (text) => texts.push(text) }).write(`${JSON.stringify(entry)}\n`)
  return texts.join('')
}
