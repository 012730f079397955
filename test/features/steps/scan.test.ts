import { createHash, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { backfillSteps } from '../../../src/features/steps/backfill.ts'
import { newStepsOf } from '../../../src/features/steps/configured.ts'
import { scanStep } from '../../../src/features/steps/scan.ts'
import type { Ending } from '../../../src/features/steps/step.ts'
import { clamd } from '../../../src/scanners/clamd.ts'
import { withinLimit } from '../../../src/scanners/index.ts'
import { freePort } from '../../support/free-port.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { eicar, type Script, startClamd } from '../../support/scanner-stand-in.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

const file = { id: randomUUID(), tenant: null, ownerId: 'ada', key: 'k', name: 'a.txt', contentType: 'text/plain' }
const never = new AbortController().signal

/** How the step ends for a file of `bytes`; `reads` counts how often the file was read. */
async function endingFor(bytes: Buffer, script: Script = {}, onUnscanned: 'hold' | 'release' = 'hold') {
  const server = await startClamd(script)
  const step = scanStep({ scanner: withinLimit(clamd(server), 1000), onUnscanned, timeoutMs: 60_000 })
  let reads = 0
  let isClosed = false
  const ending: Ending = await step.run({
    file: { ...file, size: bytes.length },
    async *read() {
      reads += 1
      try {
        for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100)
      } finally {
        isClosed = true
      }
    },
    signal: never,
  })
  return { ending, reads, isClosed }
}

describe('the step that scans', () => {
  const bytes = Buffer.alloc(950, 'abc')
  const digests = { sha256: createHash('sha256').update(bytes).digest(), crc32: crc32(bytes) }

  it('passes a clean file, which it reads once for its digests and its scan', async () => {
    const { ending, reads } = await endingFor(bytes)

    expect(ending).toMatchObject({ outcome: 'pass', digests, result: { result: 'clean', scannedBytes: 950 } })
    expect(reads).toBe(1)
  })

  it('rejects an infected file, and still has the digests of all of it', async () => {
    const infected = Buffer.concat([eicar, bytes.subarray(0, 500)])
    const { ending } = await endingFor(infected)

    const sha256 = createHash('sha256').update(infected).digest()
    expect(ending).toMatchObject({ outcome: 'reject', reason: 'Eicar-Test-Signature', digests: { sha256 } })
  })

  it.each(['hold', 'release'] as const)('does what ON_UNSCANNED says with a file above the limit: %s', async (what) => {
    const { ending, reads } = await endingFor(Buffer.alloc(1001), {}, what)

    expect(ending).toMatchObject({ outcome: what === 'hold' ? 'hold' : 'pass', result: { result: 'unscanned' } })
    expect(reads).toBe(1)
  })

  it.each(['hold', 'release'] as const)(
    'waits for a scanner that is away, whatever ON_UNSCANNED says: %s',
    async (what) => {
      const { ending, isClosed } = await endingFor(bytes, { answer: () => null }, what)

      expect(ending).toMatchObject({ outcome: 'fail', canRetry: true, result: { result: 'failed' } })
      expect(isClosed).toBe(true)
    },
  )

  it('does not believe a scanner that took less than the file', async () => {
    const scan = async () => ({
      ...{ result: 'clean' as const, reason: null, scannedBytes: 949 },
      ...{ engine: null, signatures: null, signaturesAt: null },
    })
    const step = scanStep({ scanner: { scan }, onUnscanned: 'hold', timeoutMs: 60_000 })

    const ending = await step.run({
      file: { ...file, size: 950 },
      async *read() {
        yield bytes
      },
      signal: never,
    })

    expect(ending).toMatchObject({ outcome: 'hold', reason: 'the scanner read 949 bytes of 950' })
  })

  it('fails when the store has less of the file than was uploaded', async () => {
    const server = await startClamd()
    const step = scanStep({ scanner: clamd(server), onUnscanned: 'release', timeoutMs: 60_000 })

    const ending = await step.run({
      file: { ...file, size: 951 },
      async *read() {
        yield bytes
      },
      signal: never,
    })

    expect(ending).toMatchObject({ outcome: 'fail', reason: 'the store has 950 bytes of 951' })
  })
})

describe('a server with SCANNER', () => {
  async function send({ http, as }: TestApp, bytes: Buffer): Promise<string> {
    const created = await http.inject({
      method: 'POST',
      url: '/files',
      headers: {
        ...(await as()),
        'tus-resumable': '1.0.0',
        'upload-length': `${bytes.length}`,
        'upload-metadata': `filename ${btoa('a.txt')}`,
        'content-type': 'application/offset+octet-stream',
      },
      payload: bytes,
    })
    expect(created.statusCode).toBe(201)
    return String(created.headers.location).split('/').at(-1)!
  }

  async function query<T>(text: string, values: unknown[]): Promise<T[]> {
    return (await testDatabase()).query<T>({ name: `test-${text}`.slice(0, 60), text }, values)
  }

  async function contentOf(id: string) {
    const [row] = await query<Record<string, unknown>>('select state, sha256 from contents where id = $1', [id])
    return row
  }

  it('makes a clean file live, and quarantines an infected one with an event', async () => {
    const server = await startClamd()
    const app = await testApp({ SCANNER: `clamd://127.0.0.1:${server.port}` })

    const clean = await send(app, Buffer.from('a clean file'))
    const infected = await send(app, eicar)
    expect((await contentOf(infected))?.state).not.toBe('live')

    await expect.poll(() => contentOf(infected)).toMatchObject({ state: 'quarantined' })
    const sha256 = createHash('sha256').update('a clean file').digest()
    await expect.poll(() => contentOf(clean)).toEqual({ state: 'live', sha256 })
    const text = `select type, data->>'failure' as why from upload_events where upload_id = $1 and type like 'file.%'`
    expect(await query(text, [infected])).toEqual([{ type: 'file.quarantined', why: 'Eicar-Test-Signature' }])
    expect(await query(text, [clean])).toEqual([{ type: 'file.available', why: null }])
  })

  it('holds files while the scanner is away', async () => {
    const app = await testApp({ SCANNER: `clamd://127.0.0.1:${await freePort()}` })
    const attempts = async () =>
      (await query<{ attempts: number }>('select attempts, state from steps where content_id = $1', [id]))[0]

    const id = await send(app, Buffer.from('a file'))

    await expect.poll(attempts).toMatchObject({ attempts: 1, state: 'waiting' })
    expect(await contentOf(id)).toMatchObject({ state: 'held' })
  })

  it('scans held files that have no steps, such as adopted ones, behind fresh uploads', async () => {
    const scanner = await startClamd()
    const settings = { SCANNER: { protocol: 'clamd', connect: scanner }, SCANNER_MAX_SIZE: 1000 } as const
    const steps = newStepsOf({ ...settings, SCANNER_TIMEOUT: 60_000, ON_UNSCANNED: 'hold' })
    const database = await testDatabase()
    const app = await testApp()
    const id = await send(app, Buffer.from('a file'))
    await query(`update contents set state = 'held' where id = $1`, [id])

    expect(await backfillSteps(database, steps, new Date())).toBeGreaterThan(0)

    expect(await query('select name, priority from steps where content_id = $1', [id])).toEqual([
      { name: 'scan', priority: 0 },
    ])
    expect(await backfillSteps(database, steps, new Date())).toBe(0)
  })
})
