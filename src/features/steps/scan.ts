import type { Scanner, Verdict } from '../../scanners/scanner.ts'
import { digested } from './digested.ts'
import type { Ending, Step } from './step.ts'

export interface ScanOptions {
  scanner: Scanner
  onUnscanned: 'hold' | 'release'
  timeoutMs: number
}

/**
 * The step `scan`: gives a file to the scanner, and takes its digests while it is read. An infected file is rejected, one that the scanner
 * does not read is held or released as `onUnscanned` says, and while the scanner is away the file waits.
 */
export function scanStep({ scanner, onUnscanned, timeoutMs }: ScanOptions): Step {
  return {
    name: 'scan',
    version: 1,
    isBlocking: true,
    timeoutMs,
    async run({ file, read, signal }) {
      const source = digested(read())
      try {
        const verdict = await scanner.scan(source.bytes, file.size, signal)
        if (verdict.result === 'failed') return { ...failure(verdict.reason), result: { ...verdict } }
        const { size, ...digests } = await source.finish()
        if (size !== file.size) return failure(`the store has ${size} bytes of ${file.size}`)
        return { ...endingOf(verdict, size, onUnscanned), digests, result: { ...verdict } }
      } finally {
        await source.close()
      }
    },
  }
}

function endingOf({ result, reason, scannedBytes }: Verdict, size: number, onUnscanned: 'hold' | 'release'): Ending {
  if (result === 'infected') return { outcome: 'reject', reason: reason ?? 'infected' }
  // A scanner that took less than the file has not called the file clean.
  if (result === 'clean' && scannedBytes === size) return { outcome: 'pass' }
  if (onUnscanned === 'release') return { outcome: 'pass' }
  return { outcome: 'hold', reason: reason ?? `the scanner read ${scannedBytes} bytes of ${size}` }
}

function failure(reason: string | null): Ending {
  return { outcome: 'fail', reason: reason ?? 'the scanner gave no answer', canRetry: true }
}
