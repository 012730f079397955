import { parseScannerAddress } from '../../scanners/address.ts'
import { choice, parsed, size, wait } from '../values.ts'

const second = 1000

/** What a completed file must pass before readers may have it. */
export const checks = {
  SCANNER: parsed(
    parseScannerAddress,
    'clamd://host:port, the path of the socket of clamd, or icap://host:port/service',
  )
    .optional()
    .describe(
      'The virus scanner that every file must pass before readers may have it: clamd://host:port, the path of the socket of clamd, or icap://host:port/service. Without it files are not scanned',
    ),
  SCANNER_MAX_SIZE: size
    .prefault('25MiB')
    .describe(
      'The largest file that the scanner reads to its end; a larger one is not given to it. Of clamd the smallest of StreamMaxLength, MaxFileSize and MaxScanSize, 25M in Debian. A scanner calls clean what it did not read: landfall doctor finds its true limit',
    ),
  SCANNER_TIMEOUT: wait(second).prefault('10m').describe('How long a scan may take before it is tried again'),
  ON_UNSCANNED: choice('hold', 'release')
    .default('hold')
    .describe(
      'What happens to a file that the scanner does not read, such as one above SCANNER_MAX_SIZE or an encrypted archive; hold: readers do not get it. While the scanner is away, files are held in any case',
    ),
}
