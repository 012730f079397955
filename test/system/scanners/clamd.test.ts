import { describe, expect, it } from 'vitest'
import { examineScanner } from '../../../src/cli/doctor/scanner.ts'
import { clamd } from '../../../src/scanners/clamd.ts'
import { withinLimit } from '../../../src/scanners/index.ts'
import { hasClamd, startRealClamd } from '../../support/real-clamd.ts'
import { eicar } from '../../support/scanner-stand-in.ts'

const MiB = 1024 ** 2
const never = new AbortController().signal

async function* inChunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 256 * 1024) yield bytes.subarray(at, at + 256 * 1024)
}

const behind = (padding: number) => Buffer.concat([Buffer.alloc(padding, 'a'), eicar])

describe.skipIf(!hasClamd)("Debian's clamd (needs clamav-daemon)", () => {
  it('finds EICAR, and calls other files clean', async () => {
    const scanner = clamd({ path: await startRealClamd() })

    const infected = await scanner.scan(inChunks(behind(MiB)), MiB + 68, never)
    const clean = await scanner.scan(inChunks(Buffer.alloc(MiB)), MiB, never)

    expect(infected).toMatchObject({ result: 'infected', scannedBytes: MiB + 68 })
    expect(infected.reason).toMatch(/^Eicar-Anywhere/)
    expect(clean).toMatchObject({ result: 'clean', scannedBytes: MiB })
    expect(clean.engine).toMatch(/^ClamAV \d/)
  })

  const sizes = ['1M', '5M']
  const configurations = sizes.flatMap((MaxFileSize) =>
    ['4M', '20M'].flatMap((StreamMaxLength) =>
      ['1M', '20M'].flatMap((MaxScanSize) =>
        ['yes', 'no'].map((AlertExceedsMax) => ({ MaxFileSize, StreamMaxLength, MaxScanSize, AlertExceedsMax })),
      ),
    ),
  )
  it.each(configurations)('never calls clean what it did not read: %j', async (settings) => {
    const path = await startRealClamd(settings)
    const limits = [settings.MaxFileSize, settings.StreamMaxLength, settings.MaxScanSize].map(Number.parseFloat)
    const scanner = withinLimit(clamd({ path }), Math.min(...limits) * MiB)

    for (const padding of [0.5, 1.5, 3, 4.5, 6]) {
      const file = behind(padding * MiB)
      const { result } = await scanner.scan(inChunks(file), file.length, never)
      expect(['infected', 'unscanned', 'failed'], `behind ${padding} MiB`).toContain(result)
      if (padding * MiB < (Math.min(...limits) - 0.1) * MiB) expect(result).toBe('infected')
    }
  })
  it.each([
    ['no', /^error: .*clean → Set SCANNER_MAX_SIZE=4MiB/],
    ['yes', /^warning: .*unscanned .* → Set SCANNER_MAX_SIZE=4MiB/],
  ])('has its true limit found by doctor, with AlertExceedsMax %s', async (AlertExceedsMax, expected) => {
    const path = await startRealClamd({ MaxFileSize: '5M', MaxScanSize: '20M', AlertExceedsMax })

    const found: string[] = []
    for await (const { status, message, fix } of examineScanner(clamd({ path }), 10 * MiB, 60_000))
      found.push(`${status}: ${message} → ${fix}`)

    expect(found).toEqual([expect.stringMatching(/^ok: /), expect.stringMatching(expected)])
  })
})
