import type { Config } from '../../config.ts'
import { formatSize } from '../../core/size.ts'
import { openScanner } from '../../scanners/index.ts'
import type { Scanner, Verdict } from '../../scanners/scanner.ts'
import { smallestArchive, testArchive } from '../../scanners/test-archive.ts'
import { about, type Finding } from '../../stores/finding.ts'

const { ok, warning, error } = about('scanner')
const KiB = 1024
const MiB = 1024 ** 2
const day = 24 * 60 * 60 * 1000
const oldSignaturesMs = 7 * day
const leastTested = smallestArchive + KiB
// A zip of more needs other records.
const largestArchive = 4 * 1024 * MiB - 1

/** Tests the scanner of SCANNER, if there is one: that it answers, finds EICAR, and reads files of SCANNER_MAX_SIZE to their end. */
export async function* probeScanner(config: Config): AsyncGenerator<Finding> {
  const { SCANNER, SCANNER_MAX_SIZE, SCANNER_TIMEOUT } = config
  if (SCANNER !== undefined) yield* examineScanner(openScanner(SCANNER), SCANNER_MAX_SIZE, SCANNER_TIMEOUT)
}

/** The same for `scanner`, which the configuration says to read files of up to `maxSize` bytes. */
export async function* examineScanner(scanner: Scanner, maxSize: number, timeoutMs: number): AsyncGenerator<Finding> {
  const scan = (chunks: Iterable<Buffer>, size: number) =>
    scanner.scan(toAsync(chunks), size, AbortSignal.timeout(timeoutMs))
  const seesArchiveOf = (size: number) => scan(testArchive(size), size)

  const harmless = Buffer.from('a harmless file of landfall doctor\n')
  const first = await scan([harmless], harmless.length)
  if (first.result === 'failed') {
    yield error(
      `the scanner gives no answer: ${first.reason}`,
      'Start it, and see its log. Files are held until it answers.',
    )
    return
  }
  if (first.result !== 'clean') {
    yield error(`the scanner calls a harmless file ${first.result}: ${first.reason}`, 'See its log.')
    return
  }
  const least = await seesArchiveOf(leastTested)
  if (least.result !== 'infected') {
    yield error(
      `the scanner does not find the EICAR test file in an archive; it says ${nameOf(least)}`,
      'Let it open archives, and update its signatures (freshclam for clamd): without them it finds nothing.',
    )
    return
  }
  yield ok(`the scanner finds the EICAR test file: ${first.engine ?? 'it does not name itself'}`)
  yield* examineAge(first)
  yield* examineLimit(seesArchiveOf, Math.max(leastTested, Math.min(maxSize, largestArchive)))
}

function* examineAge({ signaturesAt }: Verdict): Generator<Finding> {
  const ageMs = signaturesAt === null ? 0 : Date.now() - Date.parse(signaturesAt)
  if (ageMs > oldSignaturesMs)
    yield warning(
      `the signatures of the scanner are ${Math.floor(ageMs / day)} days old`,
      'Let it update them every day (freshclam for clamd).',
    )
}

async function* examineLimit(
  seesArchiveOf: (size: number) => Promise<Verdict>,
  maxSize: number,
): AsyncGenerator<Finding> {
  const atLimit = await seesArchiveOf(maxSize)
  if (atLimit.result === 'infected') {
    yield ok(`the scanner reads archives of SCANNER_MAX_SIZE (${formatSize(maxSize)}) to their end`)
    return
  }
  const reads = await largestThat(async (size) => (await seesArchiveOf(size)).result === 'infected', maxSize)
  const advice = `Set SCANNER_MAX_SIZE=${printedSize(reads)}, or raise the limits of the scanner (clamd: StreamMaxLength, MaxFileSize and MaxScanSize).`
  const found = `the scanner finds EICAR in archives of up to ${formatSize(reads)}, and not at SCANNER_MAX_SIZE (${formatSize(maxSize)})`
  // Only `clean` gives readers what was not read.
  if (atLimit.result === 'clean') yield error(`${found}: it calls what it did not read clean`, advice)
  else yield warning(`${found}: it says ${nameOf(atLimit)}`, advice)
}

/** The largest size below `above` for which `holds`, to a twentieth; it holds for the smallest archive. */
async function largestThat(holds: (size: number) => Promise<boolean>, above: number): Promise<number> {
  let most = leastTested
  let tooMany = above
  while (tooMany - most > Math.max(KiB, most / 20)) {
    const middle = Math.floor((most + tooMany) / 2)
    if (await holds(middle)) most = middle
    else tooMany = middle
  }
  return most
}

/** As settings are written; rounded down. */
function printedSize(bytes: number): string {
  return bytes >= MiB ? `${Math.floor(bytes / MiB)}MiB` : `${Math.floor(bytes / KiB)}KiB`
}

function nameOf({ result, reason }: Verdict): string {
  return reason === null ? result : `${result} (${reason})`
}

async function* toAsync(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
}
