/*
 * clamd's INSTREAM: the file in chunks, each behind its length, and an empty one at its end (man clamd). clamd answers `OK` also for bytes
 * that it did not read: those behind MaxFileSize, and members of archives beyond its limits. So a file that is larger than what clamd is
 * known to read is not given to it.
 */
import type { NetConnectOpts } from 'node:net'
import { openConnection, type ScannerConnection } from './connection.ts'
import { resultOfFinding, type Scanner, type ScannerVersion, unknownVersion, type Verdict } from './scanner.ts'

const endOfAnswer = 0
const isWhole = (received: Buffer) => received.includes(endOfAnswer)

/** The clamd at `where`. */
export function clamd(where: NetConnectOpts): Scanner {
  return {
    async scan(bytes, _size, signal) {
      const version = await askVersion(where, signal).catch(() => unknownVersion)
      const connection = openConnection(where, signal, isWhole)
      try {
        const sent = await stream(connection, bytes)
        const answer = await connection.answer().then(
          (received) => received.toString('utf8').replaceAll('\0', '').trim(),
          (error: Error) => error,
        )
        const verdict = verdictOf(answer, sent.isWhole, signal)
        return { ...verdict, scannedBytes: verdict.result === 'failed' ? 0 : sent.bytes, ...version }
      } finally {
        connection.close()
      }
    },
  }
}

/** Sends the file, until it ends or clamd answers. */
async function stream(
  connection: ScannerConnection,
  bytes: AsyncIterable<Buffer>,
): Promise<{ bytes: number; isWhole: boolean }> {
  let sent = 0
  if (!(await connection.send('zINSTREAM\0'))) return { bytes: 0, isWhole: false }
  for await (const chunk of bytes) {
    // An empty chunk would say that this is the end.
    if (chunk.length === 0) continue
    const length = Buffer.alloc(4)
    length.writeUInt32BE(chunk.length)
    if (!(await connection.send(Buffer.concat([length, chunk])))) return { bytes: sent, isWhole: false }
    sent += chunk.length
  }
  // The answer to the whole file may be here as soon as this is sent.
  await connection.send(Buffer.alloc(4))
  return { bytes: sent, isWhole: true }
}

function verdictOf(answer: string | Error, isWhole: boolean, signal: AbortSignal): Pick<Verdict, 'result' | 'reason'> {
  if (signal.aborted) return { result: 'failed', reason: 'the scanner did not answer in time' }
  if (answer instanceof Error) return { result: 'failed', reason: `the scanner cannot be reached (${answer.message})` }
  const found = /^stream: (.+) FOUND$/.exec(answer)?.[1]
  if (found !== undefined) return { result: resultOfFinding(found), reason: found }
  if (answer === 'stream: OK' && isWhole) return { result: 'clean', reason: null }
  if (answer === 'stream: OK')
    return { result: 'failed', reason: 'the scanner answered before it had received the file' }
  if (answer === '') return { result: 'failed', reason: 'the scanner closed the connection without an answer' }
  return { result: 'failed', reason: `the scanner answered ${JSON.stringify(answer.slice(0, 200))}` }
}

/** `ClamAV 1.4.6/27412/Mon Nov 30 09:26:04 2026`; without official signatures only its first part. */
async function askVersion(where: NetConnectOpts, signal: AbortSignal): Promise<ScannerVersion> {
  const connection = openConnection(where, signal, isWhole)
  try {
    await connection.send('zVERSION\0')
    const text = (await connection.answer()).toString('utf8').replaceAll('\0', '').trim()
    const [engine = '', signatures, at] = text.split('/')
    const time = at === undefined ? Number.NaN : Date.parse(`${at} UTC`)
    return {
      engine: engine || null,
      signatures: signatures ?? null,
      signaturesAt: Number.isNaN(time) ? null : new Date(time).toISOString(),
    }
  } finally {
    connection.close()
  }
}
