import { openRaw, type RawConnection } from './raw-http.ts'

export interface Replay {
  port: number
  /** Waits until a body has brought so many bytes to the server (see arrival.ts). */
  arrived(bytes: number): Promise<void>
  token: string
  /** What `{bytes 0 to 60}` is of. */
  file: Buffer
}

/**
 * Says what a trace says (`> `), byte by byte, and holds the answers to what it tells of them (`< `): status line and every
 * header that is named. `{id}` is whatever the first answer says it is. Returns it.
 * @throws Error when an answer is another
 */
export async function replayTrace(trace: string, { port, arrived, token, file }: Replay): Promise<string> {
  let connection: RawConnection | null = null
  let id = ''
  let heardSoFar = 0
  let toSay: Buffer[] = []
  /** Bytes of a body since the last answer. */
  let sent = 0

  async function speak(): Promise<void> {
    if (!connection) {
      connection = await openRaw(port)
      heardSoFar = 0
    }
    for (const byte of Buffer.concat(toSay)) await connection.send(Buffer.of(byte))
    toSay = []
  }

  /** The head of the next answer. */
  async function hear(): Promise<string[]> {
    if (toSay.length > 0) await speak()
    for (;;) {
      const end = connection!.heard().indexOf('\r\n\r\n', heardSoFar)
      if (end !== -1) {
        const head = connection!.heard().slice(heardSoFar, end)
        heardSoFar = end + 4
        return head.split('\r\n')
      }
      await connection!.until(new RegExp(`^[\\s\\S]{${connection!.heard().length + 1},}`))
    }
  }

  function bytesOf(line: string): Buffer {
    const [, what, from, to] = /^\{(bytes|chunk) (\d+) to (\d+)\}$/.exec(line) ?? []
    if (line === '{last chunk}') return Buffer.from('0\r\n\r\n')
    if (what === undefined) return Buffer.from(`${line.replaceAll('{id}', id).replaceAll('{token}', token)}\r\n`)
    const bytes = file.subarray(Number(from), Number(to))
    sent += bytes.length
    if (what === 'bytes') return bytes
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
  }

  /** Whether `line` is what the trace says; learns the id. */
  function agrees(line: string, expected: string): boolean {
    const words: Record<string, string> = {
      '{id}': id || '(?<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})',
      '{seconds}': '\\d+',
      '{date}': '\\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT',
    }
    const parts = expected.split(/(\{\w+\})/).map((part) => words[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const found = new RegExp(`^${parts.join('')}$`, 'i').exec(line)
    id ||= found?.groups?.['id'] ?? ''
    return found !== null
  }

  const lines = trace.split('\n')
  try {
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at]!
      if (line.startsWith('>')) toSay.push(bytesOf(line.slice(2)))
      if (line === '{the connection is lost}') {
        if (toSay.length > 0) await speak()
        // What was sent before must have come; what comes of it is not heard any more.
        if (sent > 0) await arrived(sent)
        ;(connection as RawConnection | null)?.cut()
        connection = null
      }
      if (!line.startsWith('<')) continue
      const [status, ...headers] = await hear()
      // What an answer came to needs not be waited for.
      sent = 0
      if (!agrees(status!, line.slice(2))) throw new Error(`answered ${status} and not ${line.slice(2)}`)
      for (at += 1; lines[at]!.trim() !== '<'; at += 1) {
        const expected = lines[at]!.slice(2)
        if (!headers.some((header) => agrees(header, expected)))
          throw new Error(`after ${status} there is no "${expected}" in\n${headers.join('\n')}`)
      }
    }
    return id
  } finally {
    ;(connection as RawConnection | null)?.cut()
  }
}
