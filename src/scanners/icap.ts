/*
 * ICAP's RESPMOD (RFC 3507): the file as the body of an HTTP response that the scanner may let pass (204) or replace (200). Without a
 * preview, so that the scanner gets every byte. Scanners name what they found in headers of their own, which are older than any standard.
 */
import type { NetConnectOpts } from 'node:net'
import { openConnection, type ScannerConnection } from './connection.ts'
import { resultOfFinding, type Scanner, type Verdict } from './scanner.ts'

/** A status line with its headers: names in lower case. */
interface Head {
  status: number
  headers: Map<string, string>
}

const endOfHead = '\r\n\r\n'
const isWhole = (received: Buffer) => endOfHeads(received.toString('latin1')) !== -1

/** The ICAP service of a scanner. `url`: `icap://host:port/service` */
export function icap(where: NetConnectOpts, url: string): Scanner {
  return {
    async scan(bytes, size, signal) {
      const connection = openConnection(where, signal, isWhole)
      try {
        const sent = await stream(connection, url, bytes, size)
        const answer = await connection.answer().then(
          (received) => received.toString('latin1'),
          (error: Error) => error,
        )
        const verdict = verdictOf(answer, sent.isWhole, signal)
        return { ...verdict, scannedBytes: verdict.result === 'failed' ? 0 : sent.bytes }
      } finally {
        connection.close()
      }
    },
  }
}

/** Sends the file as the body of a response, until it ends or the scanner answers. */
async function stream(
  connection: ScannerConnection,
  url: string,
  bytes: AsyncIterable<Buffer>,
  size: number,
): Promise<{ bytes: number; isWhole: boolean }> {
  const request = `GET http://landfall/file HTTP/1.1\r\nHost: landfall${endOfHead}`
  const response = `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${size}${endOfHead}`
  const head = [
    `RESPMOD ${url} ICAP/1.0`,
    `Host: ${new URL(url.replace(/^icap/, 'http')).host}`,
    'User-Agent: Landfall',
    'Allow: 204',
    'Connection: close',
    `Encapsulated: req-hdr=0, res-hdr=${request.length}, res-body=${request.length + response.length}`,
  ].join('\r\n')
  let sent = 0
  if (!(await connection.send(head + endOfHead + request + response))) return { bytes: 0, isWhole: false }
  for await (const chunk of bytes) {
    if (chunk.length === 0) continue
    const framed = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')])
    if (!(await connection.send(framed))) return { bytes: sent, isWhole: false }
    sent += chunk.length
  }
  await connection.send('0\r\n\r\n')
  return { bytes: sent, isWhole: true }
}

type Answered = Omit<Verdict, 'scannedBytes'>

function verdictOf(answer: string | Error, isWhole: boolean, signal: AbortSignal): Answered {
  const failed = (reason: string): Answered => ({
    result: 'failed',
    reason,
    engine: null,
    signatures: null,
    signaturesAt: null,
  })
  if (signal.aborted) return failed('the scanner did not answer in time')
  if (answer instanceof Error) return failed(`the scanner cannot be reached (${answer.message})`)
  const end = endOfHeads(answer)
  if (end === -1) return failed('the scanner closed the connection without an answer')
  const head = readHead(answer, 'ICAP')
  if (head === null) return failed('the scanner answered something that is not ICAP')
  const { status, headers } = head
  const about = {
    engine: headers.get('service') ?? headers.get('server') ?? null,
    signatures: headers.get('istag')?.replaceAll('"', '') ?? null,
    signaturesAt: null,
  }
  const found = findingOf(headers)
  if (found !== null) return { ...found, ...about }
  if (status === 204 && isWhole) return { result: 'clean', reason: null, ...about }
  if (status === 204)
    return { result: 'unscanned', reason: 'the scanner let the file pass before it had read it', ...about }
  if (status === 200) return { ...blocked(answer.slice(answer.indexOf(endOfHead) + endOfHead.length, end)), ...about }
  return { ...failed(`the scanner answered with status ${status}`), ...about }
}

/** What the scanner found, as it says in a header of its own. */
function findingOf(headers: Head['headers']): Pick<Verdict, 'result' | 'reason'> | null {
  const infection = headers.get('x-infection-found')
  const name = /Threat=([^;]+)/i.exec(infection ?? '')?.[1]?.trim() ?? headers.get('x-virus-id') ?? infection
  if (name === undefined) return null
  // Type 2 is a violation of limits of containers: encrypted, too deep, too large (draft-stecher-icap-subid).
  const isUnread = /Type=2\b/i.test(infection ?? '')
  return { result: isUnread ? 'unscanned' : resultOfFinding(name), reason: name }
}

/** A scanner that replaces the file by an error page has blocked it. One that sends the file back, or anything else, has not said why. */
function blocked(encapsulated: string): Pick<Verdict, 'result' | 'reason'> {
  const replaced = readHead(encapsulated, 'HTTP')
  if (replaced !== null && replaced.status >= 400)
    return { result: 'infected', reason: `the scanner replaced the file by an answer with status ${replaced.status}` }
  return { result: 'failed', reason: 'the scanner changed the file and did not say what it found' }
}

/** Where the heads of an answer end: that of ICAP and, of a replaced response, that of HTTP. -1: they have not all arrived. */
function endOfHeads(text: string): number {
  const first = text.indexOf(endOfHead)
  if (first === -1) return -1
  const ends = first + endOfHead.length
  const hasResponse = /^encapsulated:.*res-hdr/im.test(text.slice(0, first)) && /^ICAP\/1\.\d 200\b/.test(text)
  if (!hasResponse) return ends
  const second = text.indexOf(endOfHead, ends)
  return second === -1 ? -1 : second + endOfHead.length
}

function readHead(text: string, protocol: 'ICAP' | 'HTTP'): Head | null {
  const [statusLine = '', ...lines] = text.split(endOfHead, 1)[0]!.split('\r\n')
  const status = new RegExp(`^${protocol}/1\\.\\d (\\d{3})\\b`).exec(statusLine)?.[1]
  if (status === undefined) return null
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) headers.set(name.toLowerCase(), value.trim())
  }
  return { status: Number(status), headers }
}
