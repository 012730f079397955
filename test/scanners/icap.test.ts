import { describe, expect, it } from 'vitest'
import { icap } from '../../src/scanners/icap.ts'
import type { Verdict } from '../../src/scanners/scanner.ts'
import { freePort } from '../support/free-port.ts'
import { eicar, type Script, startIcap } from '../support/scanner-stand-in.ts'

const never = new AbortController().signal
const url = 'icap://127.0.0.1:1344/avscan'

async function* inChunks(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function verdictOn(file: Buffer, script: Script = {}): Promise<Verdict> {
  const server = await startIcap(script)
  return icap(server, url).scan(inChunks(file, 64 * 1024), file.length, never)
}

const head =
  (status: string, ...headers: string[]) =>
  () =>
    [`ICAP/1.0 ${status}`, ...headers, '', ''].join('\r\n')

describe('a file that an ICAP scanner reads', () => {
  it('is clean, with what the scanner is and how much it was given', async () => {
    const verdict = await verdictOn(Buffer.alloc(2500, 'a'))

    expect(verdict).toEqual({
      result: 'clean',
      reason: null,
      scannedBytes: 2500,
      engine: 'C-ICAP/clamav',
      signatures: 'CI0001-1',
      signaturesAt: null,
    })
  })

  it('is infected when the scanner names a threat', async () => {
    const verdict = await verdictOn(Buffer.concat([Buffer.alloc(3000), eicar]))

    expect(verdict).toMatchObject({ result: 'infected', reason: 'Eicar-Test-Signature', scannedBytes: 3068 })
  })

  it('is sent as RESPMOD with the lengths of its heads, and arrives byte for byte', async () => {
    const server = await startIcap()
    const file = Buffer.from([...Array(300).keys()].map((n) => n % 256))

    for (const size of [1, 7, 300, 1000]) await icap(server, url).scan(inChunks(file, size), file.length, never)

    expect(server.files).toEqual(Array(4).fill(file))
    const sent = server.received[0]!.toString('latin1')
    const body = sent.slice(sent.indexOf('\r\n\r\n') + 4)
    const [, response, bytes] = /Encapsulated: req-hdr=0, res-hdr=(\d+), res-body=(\d+)\r\n/.exec(sent)!.map(Number)
    expect(sent).toMatch(/^RESPMOD icap:\/\/127.0.0.1:1344\/avscan ICAP\/1.0\r\n/)
    expect(body.slice(response!)).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(body.slice(bytes!)).toMatch(/^1\r\n/)
  })
})

describe('what an ICAP scanner says in its own way', () => {
  it.each<[string, () => string, Partial<Verdict>]>([
    ['X-Virus-ID', head('200 OK', 'X-Virus-ID: Some.Virus'), { result: 'infected', reason: 'Some.Virus' }],
    [
      'a violation of the limits of archives',
      head('200 OK', 'X-Infection-Found: Type=2; Resolution=0; Threat=Encrypted archive;'),
      { result: 'unscanned', reason: 'Encrypted archive' },
    ],
    [
      'a limit of clamd behind it',
      head('200 OK', 'X-Infection-Found: Type=0; Resolution=2; Threat=Heuristics.Limits.Exceeded.MaxFileSize;'),
      { result: 'unscanned' },
    ],
    [
      'a page in place of the file',
      () => `${head('200 OK', 'Encapsulated: res-hdr=0, res-body=26')()}HTTP/1.0 403 Forbidden\r\n\r\n`,
      { result: 'infected' },
    ],
  ])('%s', async (_, answer, expected) => {
    expect(await verdictOn(Buffer.from('x'), { answer })).toMatchObject(expected)
  })
})

describe('what an ICAP scanner did not read', () => {
  // More than the buffers of a connection take, so that a scanner that stops reading is noticed before the end.
  const large = Buffer.alloc(32 * 1024 * 1024)

  it.each<[string, Script]>([
    ['no such service', { answer: head('404 Service not found') }],
    ['an error', { answer: head('500 Internal Server Error') }],
    ['no answer', { answer: () => null }],
    ['an answer that is cut off', { answer: () => 'ICAP/1.0 204 Unmodi' }],
    ['an answer of HTTP', { answer: () => 'HTTP/1.1 204 No Content\r\n\r\n' }],
    ['the file sent back', { answer: () => `${head('200 OK', 'Encapsulated: res-hdr=0')()}HTTP/1.1 200 OK\r\n\r\nx` }],
    ['200 without a reason', { answer: head('200 OK') }],
    ['a connection that is cut', { cutsAfter: 1000 }],
  ])('is never clean: %s', async (_, script) => {
    const verdict = await verdictOn('cutsAfter' in script ? large : Buffer.alloc(2500), script)

    expect(verdict.result).toBe('failed')
    expect(verdict.reason).not.toBeNull()
  })

  it('is never clean: 204 before the file has ended', async () => {
    const verdict = await verdictOn(large, { answersAfter: 1000, answer: head('204 Unmodified') })

    expect(verdict.result).toBe('unscanned')
    expect(verdict.scannedBytes).toBeLessThan(large.length)
  })
})

describe('an ICAP scanner that is away', () => {
  it('fails when nothing listens', async () => {
    const verdict = await icap({ host: '127.0.0.1', port: await freePort() }, url).scan(inChunks(eicar), 68, never)

    expect(verdict).toMatchObject({ result: 'failed', scannedBytes: 0 })
  })

  it('fails when the caller gives up while it says nothing', async () => {
    const server = await startIcap({ answer: () => 'silence' })
    const giveUp = new AbortController()

    const scan = icap(server, url).scan(inChunks(eicar), 68, giveUp.signal)
    await server.hasReceived(68)
    giveUp.abort()

    expect(await scan).toMatchObject({ result: 'failed', reason: 'the scanner did not answer in time' })
  })
})
