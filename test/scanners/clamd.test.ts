import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clamd } from '../../src/scanners/clamd.ts'
import { withinLimit } from '../../src/scanners/index.ts'
import type { Verdict } from '../../src/scanners/scanner.ts'
import { freePort } from '../support/free-port.ts'
import { eicar, type Script, socketPath, startClamd } from '../support/scanner-stand-in.ts'

const small = Buffer.alloc(2500)
// More than the buffers of a connection take, so that a scanner that stops reading is noticed before the end.
const large = Buffer.alloc(32 * 1024 * 1024)
const never = new AbortController().signal

async function* inChunks(bytes: Buffer, size = 7): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function verdictOn(file: Buffer, script: Script = {}): Promise<Verdict> {
  const server = await startClamd(script)
  return clamd(server).scan(inChunks(file, 64 * 1024), file.length, never)
}

describe('a file that clamd reads', () => {
  it('is clean, with what the scanner is and how much it was given', async () => {
    const verdict = await verdictOn(Buffer.alloc(2500, 'a'))

    expect(verdict).toEqual({
      result: 'clean',
      reason: null,
      scannedBytes: 2500,
      engine: 'ClamAV 1.4.6',
      signatures: '27412',
      signaturesAt: '2026-11-30T09:26:04.000Z',
    })
  })

  it('is infected when clamd finds a signature', async () => {
    const verdict = await verdictOn(Buffer.concat([Buffer.alloc(3000, 'a'), eicar]))

    expect(verdict).toMatchObject({ result: 'infected', reason: 'Eicar-Test-Signature', scannedBytes: 3068 })
  })

  it('arrives byte for byte, whatever the chunks of the store', async () => {
    const server = await startClamd()
    const file = Buffer.from([...Array(300).keys()].map((n) => n % 256))

    for (const size of [1, 7, 299, 300, 1000]) await clamd(server).scan(inChunks(file, size), file.length, never)

    expect(server.files).toEqual(Array(5).fill(file))
  })

  it('may be empty, and chunks of the store may be, without ending it', async () => {
    const server = await startClamd()
    const withEmpty = (async function* () {
      yield Buffer.from('one')
      yield Buffer.alloc(0)
      yield Buffer.from('two')
    })()

    expect(await clamd(server).scan(inChunks(Buffer.alloc(0)), 0, never)).toMatchObject({ result: 'clean' })
    expect(await clamd(server).scan(withEmpty, 6, never)).toMatchObject({ result: 'clean', scannedBytes: 6 })
    expect(server.files.map(String)).toEqual(['', 'onetwo'])
  })

  it('has a verdict without signatures when clamd has a base of its own', async () => {
    const verdict = await verdictOn(Buffer.from('x'), { version: 'ClamAV 1.4.6' })

    expect(verdict).toMatchObject({ engine: 'ClamAV 1.4.6', signatures: null, signaturesAt: null })
  })
})

describe('what clamd did not read', () => {
  it.each([
    ['Heuristics.Limits.Exceeded.MaxFileSize', 'unscanned'],
    ['Heuristics.Limits.Exceeded.MaxScanSize', 'unscanned'],
    ['Heuristics.Encrypted.Zip', 'unscanned'],
    ['Heuristics.Phishing.Email.SpoofedDomain', 'infected'],
  ])('is never clean: %s is %s', async (name, result) => {
    const verdict = await verdictOn(Buffer.from('x'), { answer: () => `stream: ${name} FOUND\0` })

    expect(verdict).toMatchObject({ result, reason: name })
  })

  it.each<[string, Script]>([
    ['the limit of INSTREAM', { answer: () => 'INSTREAM size limit exceeded. ERROR\0' }],
    ['an error', { answer: () => "stream: Can't allocate memory ERROR\0" }],
    ['no answer', { answer: () => null }],
    ['an answer that is cut off', { answer: () => 'stream: O' }],
    ['an unknown answer', { answer: () => 'stream: PERHAPS\0' }],
    ['an answer that only begins as OK', { answer: () => 'stream: OK but ERROR\0' }],
    ['OK before the file has ended', { answersAfter: 1000, answer: () => 'stream: OK\0' }],
    [
      'a limit in the middle of the file',
      { answersAfter: 1000, answer: () => 'INSTREAM size limit exceeded. ERROR\0' },
    ],
    ['a connection that is cut', { cutsAfter: 1000 }],
  ])('is never clean: %s', async (_, script) => {
    const verdict = await verdictOn('cutsAfter' in script || 'answersAfter' in script ? large : small, script)

    expect(verdict.result).toBe('failed')
    expect(verdict.reason).not.toBeNull()
  })

  it('is never clean: a file above the limit, which is not sent', async () => {
    const server = await startClamd()
    const scanner = withinLimit(clamd(server), 100)

    const over = await scanner.scan(inChunks(Buffer.alloc(101)), 101, never)
    const at = await scanner.scan(inChunks(Buffer.alloc(100)), 100, never)

    expect(over).toMatchObject({ result: 'unscanned', scannedBytes: 0 })
    expect(over.reason).toContain('101')
    expect(at).toMatchObject({ result: 'clean', scannedBytes: 100 })
    expect(server.files).toHaveLength(1)
  })

  it('is infected all the same when clamd finds something before the end', async () => {
    const script = { answersAfter: 1000, answer: () => 'stream: Eicar-Test-Signature FOUND\0' }
    const verdict = await verdictOn(large, script)

    expect(verdict.result).toBe('infected')
    expect(verdict.scannedBytes).toBeLessThan(large.length)
  })
})

describe('a scanner that is away', () => {
  it('fails when nothing listens', async () => {
    const verdict = await clamd({ host: '127.0.0.1', port: await freePort() }).scan(inChunks(eicar), 68, never)

    expect(verdict).toMatchObject({ result: 'failed', scannedBytes: 0 })
    expect(verdict.reason).toMatch(/cannot be reached/)
  })

  it('fails when the caller gives up while it says nothing', async () => {
    const server = await startClamd({ answer: () => 'silence' })
    const giveUp = new AbortController()

    const scan = clamd(server).scan(inChunks(eicar), 68, giveUp.signal)
    await server.hasReceived(68)
    giveUp.abort()

    expect(await scan).toMatchObject({ result: 'failed', reason: 'the scanner did not answer in time' })
  })

  it('passes on the error of a store that cannot be read', async () => {
    const server = await startClamd()
    const broken = (async function* () {
      yield Buffer.from('some')
      throw new Error('the store is away')
    })()

    await expect(clamd(server).scan(broken, 100, never)).rejects.toThrow('the store is away')
  })
})

it('is reached over a unix socket as well', async () => {
  const path = await socketPath()
  const tcp = await startClamd()
  const { connect } = await import('node:net')
  const relay = createServer((socket) => {
    const other = connect(tcp.port, tcp.host)
    socket.pipe(other).pipe(socket)
  })
  relay.listen(path)
  onTestFinished(() => void relay.close())

  const verdict = await clamd({ path }).scan(inChunks(eicar), 68, never)

  expect(verdict.result).toBe('infected')
})
