import { openRaw, type RawConnection } from './raw-http.ts'

export interface Replay {
  port: number
  /** Waits until the server has read so many bytes of a body (see arrival.ts). */
  arrived(bytes: number): Promise<void>
  token: string
  /** The file of which `{bytes 0 to 60}` are sent. */
  file: Buffer
}

/**
 * Sends the requests of a trace (`> `), byte by byte, and compares the answers with those of the trace (`< `): the status line and
 * every header that the trace has. `{id}` is the id in the first answer.
 * @returns that id
 * @throws Error when an answer differs
 */
export async function replayTrace(trace: string, { port, arrived, token, file }: Replay): Promise<string> {
  let connection: RawConnection | null = null
  let id = ''
  let readSoFar = 0
  let unsent: Buffer[] = []
  /** Bytes of a body since the last answer. */
  let sent = 0

  async function sendPending(): Promise<void> {
    if (!connection) {
      connection = await openRaw(port)
      readSoFar = 0
    }
    for (const byte of Buffer.concat(unsent)) await connection.send(Buffer.of(byte))
    unsent = []
  }

  /** The status line and headers of the next answer. */
  async function readHead(): Promise<string[]> {
    if (unsent.length > 0) await sendPending()
    for (;;) {
      const end = connection!.received().indexOf('\r\n\r\n', readSoFar)
      if (end !== -1) {
        const head = connection!.received().slice(readSoFar, end)
        readSoFar = end + 4
        return head.split('\r\n')
      }
      await connection!.until(new RegExp(`^[\\s\\S]{${connection!.received().length + 1},}`))
    }
  }

  function bytesOf(line: string): Buffer {
    const [, kind, from, to] = /^\{(bytes|chunk) (\d+) to (\d+)\}$/.exec(line) ?? []
    if (line === '{last chunk}') return Buffer.from('0\r\n\r\n')
    if (kind === undefined) return Buffer.from(`${line.replaceAll('{id}', id).replaceAll('{token}', token)}\r\n`)
    const bytes = file.subarray(Number(from), Number(to))
    sent += bytes.length
    if (kind === 'bytes') return bytes
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
  }

  /** Whether `line` matches the line `expected` of the trace. Remembers the id in it. */
  function matches(line: string, expected: string): boolean {
    const placeholders: Record<string, string> = {
      '{id}': id || '(?<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})',
      '{seconds}': '\\d+',
      '{date}': '\\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT',
    }
    const parts = expected
      .split(/(\{\w+\})/)
      .map((part) => placeholders[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const found = new RegExp(`^${parts.join('')}$`, 'i').exec(line)
    id ||= found?.groups?.['id'] ?? ''
    return found !== null
  }

  const lines = trace.split('\n')
  try {
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at]!
      if (line.startsWith('>')) unsent.push(bytesOf(line.slice(2)))
      if (line === '{the connection is lost}') {
        if (unsent.length > 0) await sendPending()
        // The server must have read the bytes before the connection is cut. Its answer to them is lost.
        if (sent > 0) await arrived(sent)
        ;(connection as RawConnection | null)?.cut()
        connection = null
      }
      if (!line.startsWith('<')) continue
      const [status, ...headers] = await readHead()
      // The server has read everything that it has answered.
      sent = 0
      if (!matches(status!, line.slice(2))) throw new Error(`answered ${status} and not ${line.slice(2)}`)
      for (at += 1; lines[at]!.trim() !== '<'; at += 1) {
        const expected = lines[at]!.slice(2)
        if (!headers.some((header) => matches(header, expected)))
          throw new Error(`after ${status} there is no "${expected}" in\n${headers.join('\n')}`)
      }
    }
    return id
  } finally {
    ;(connection as RawConnection | null)?.cut()
  }
}
