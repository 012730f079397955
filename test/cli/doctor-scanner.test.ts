import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { examineScanner } from '../../src/cli/doctor/scanner.ts'
import { type Scanner, unknownVersion, type Verdict } from '../../src/scanners/scanner.ts'
import { smallestArchive, testArchive } from '../../src/scanners/test-archive.ts'
import { eicar } from '../support/scanner-stand-in.ts'

const MiB = 1024 ** 2

/** A scanner that reads the first `limit` bytes of a file, and says `beyond` of a longer one in which it found nothing. */
function scannerThatReads(limit: number, beyond: Partial<Verdict> = { result: 'clean' }, version = {}): Scanner {
  return {
    async scan(bytes, size) {
      const chunks: Buffer[] = []
      for await (const chunk of bytes) chunks.push(chunk)
      const file = Buffer.concat(chunks)
      expect(file.length).toBe(size)
      const verdict = { ...unknownVersion, ...version, reason: null, scannedBytes: size }
      if (file.subarray(0, limit).includes(eicar)) return { ...verdict, result: 'infected', reason: 'Eicar' }
      return { ...verdict, result: 'clean', ...(size > limit && beyond) } as Verdict
    },
  }
}

async function findingsOf(scanner: Scanner, maxSize = 25 * MiB) {
  const findings: string[] = []
  for await (const { status, message, fix } of examineScanner(scanner, maxSize, 1000))
    findings.push(`${status}: ${message}${fix === undefined ? '' : ` → ${fix}`}`)
  return findings
}

describe('what doctor says of a scanner', () => {
  it('that reads every file to its end', async () => {
    expect(await findingsOf(scannerThatReads(Number.POSITIVE_INFINITY))).toEqual([
      'ok: the scanner finds the EICAR test file: it does not name itself',
      'ok: the scanner reads archives of SCANNER_MAX_SIZE (25 MiB) to their end',
    ])
  })

  it('that calls clean what it did not read', async () => {
    const [, limit] = await findingsOf(scannerThatReads(5 * MiB))

    expect(limit).toMatch(/^error: .*it calls what it did not read clean → Set SCANNER_MAX_SIZE=4MiB, /)
  })

  it('that reports what it does not read', async () => {
    const beyond = { result: 'unscanned', reason: 'Heuristics.Limits.Exceeded' } as const

    const [, limit] = await findingsOf(scannerThatReads(5 * MiB, beyond))

    expect(limit).toMatch(
      /^warning: .*it says unscanned \(Heuristics\.Limits\.Exceeded\) → Set SCANNER_MAX_SIZE=4MiB, /,
    )
  })

  it('that finds nothing', async () => {
    expect(await findingsOf(scannerThatReads(0))).toEqual([
      expect.stringMatching(
        /^error: the scanner does not find the EICAR test file in an archive; it says clean → .*freshclam/,
      ),
    ])
  })

  it('that gives no answer', async () => {
    const away: Scanner = {
      scan: async () => ({ ...unknownVersion, result: 'failed', reason: 'connection refused', scannedBytes: 0 }),
    }

    expect(await findingsOf(away)).toEqual([
      'error: the scanner gives no answer: connection refused → Start it, and see its log. Files are held until it answers.',
    ])
  })

  it('whose signatures are old', async () => {
    const scanner = scannerThatReads(Number.POSITIVE_INFINITY, {}, { signaturesAt: '2020-01-01T00:00:00Z' })

    const [, age] = await findingsOf(scanner)

    expect(age).toMatch(/^warning: the signatures of the scanner are \d{4,} days old/)
  })
})

it.each([smallestArchive, smallestArchive + 1, 200_000])('an archive of %i bytes is a zip with EICAR in it', (size) => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-archive-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const bytes = Buffer.concat([...testArchive(size)])
  writeFileSync(join(folder, 'test.zip'), bytes)

  const member = execFileSync('python3', [
    '-c',
    'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; sys.stdout.buffer.write(z.read("eicar.com"))',
    join(folder, 'test.zip'),
  ])

  expect(bytes).toHaveLength(size)
  expect(member).toEqual(eicar)
})
