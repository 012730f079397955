/**
 * What a scanner says about a file. `clean` and `infected` are about the bytes that it read; `unscanned`: it did not read the file, or not
 * all of it, and would not do so the next time; `failed`: it gave no answer, and another attempt may get one.
 */
export type ScanResult = 'clean' | 'infected' | 'unscanned' | 'failed'

/** What a scanner said, and of what. */
export interface Verdict {
  result: ScanResult
  /** The name of the signature, or why the file was not scanned; `null`: clean. */
  reason: string | null
  /** Bytes of the file that the scanner took; 0 when it gave no answer about them. */
  scannedBytes: number
  /** As the scanner names itself; `null`: it does not. */
  engine: string | null
  /** The version of its signatures; `null`: it does not say. */
  signatures: string | null
  /** When its signatures were made (ISO 8601); `null`: it does not say. */
  signaturesAt: string | null
}

/** What a scanner says about itself. */
export type ScannerVersion = Pick<Verdict, 'engine' | 'signatures' | 'signaturesAt'>

/** A virus scanner in another process. */
export interface Scanner {
  /**
   * Gives `bytes` to the scanner. It never rejects: what goes wrong with the scanner is the result `failed`. Errors of `bytes` are thrown.
   * It may return before it has read all of `bytes`.
   * @param size bytes of the whole file
   * @param signal ends the scan, which is then `failed`
   */
  scan(bytes: AsyncIterable<Buffer>, size: number, signal: AbortSignal): Promise<Verdict>
}

/** A scanner that says nothing about itself. */
export const unknownVersion: ScannerVersion = { engine: null, signatures: null, signaturesAt: null }

/**
 * The result for what a scanner calls a finding. Scanners report limits that they reached, and archives that they could not open, in the
 * way of a virus: that is no infection, and the file was not read.
 */
export function resultOfFinding(name: string): 'infected' | 'unscanned' {
  return /^Heuristics\.(Limits\.Exceeded|Encrypted)/i.test(name) ? 'unscanned' : 'infected'
}
