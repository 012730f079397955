import type { ScannerAddress } from './address.ts'
import { clamd } from './clamd.ts'
import { icap } from './icap.ts'
import { type Scanner, unknownVersion } from './scanner.ts'

/** The scanner at `address`. */
export function openScanner(address: ScannerAddress): Scanner {
  return address.protocol === 'clamd' ? clamd(address.connect) : icap(address.connect, address.url)
}

/**
 * `scanner`, which is known to read no file of more than `maxSize` bytes: a larger one is `unscanned` and is not given to it. Scanners let
 * pass what is beyond their limits and call it clean.
 */
export function withinLimit(scanner: Scanner, maxSize: number): Scanner {
  return {
    async scan(bytes, size, signal) {
      if (size <= maxSize) return scanner.scan(bytes, size, signal)
      const reason = `the file has ${size} bytes, and the scanner reads ${maxSize}`
      return { result: 'unscanned', reason, scannedBytes: 0, ...unknownVersion }
    },
  }
}
