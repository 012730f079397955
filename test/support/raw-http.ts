import { connect, type Socket } from 'node:net'

/** An answer as the server sent it. Header names are in lower case. */
export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
  /** The interim responses (1xx) before it, in order. */
  interims: { status: number; headers: Record<string, string> }[]
  json(): Record<string, unknown>
}

export interface RawRequest {
  method: string
  path: string
  headers?: Record<string, string | number>
  body?: Buffer | string
  /** Default: 1.1. */
  version?: '1.0' | '1.1'
}

/** A connection on which a test sends its own bytes and reads every byte that the server sends. */
export interface RawConnection {
  readonly socket: Socket
  send(bytes: Buffer | string): Promise<void>
  /** Everything that the server has sent so far. */
  received(): string
  /** Resolves with everything received once it matches; rejects when the connection closes first. */
  until(pattern: RegExp): Promise<string>
  /** Resolves when the server has closed the connection. */
  closed(): Promise<void>
  /** The final answer, once the connection is closed; `null` without one. */
  answer(): Promise<RawAnswer | null>
  cut(): void
}

/** Sends one request. @returns its answer; `null` when the connection closed without one */
export async function ask(port: number, request: RawRequest): Promise<RawAnswer | null> {
  const connection = await openRaw(port)
  await connection.send(headOf(request))
  if (request.body !== undefined) await connection.send(request.body)
  return connection.answer()
}

/** As `ask`, but throws when the connection closed without an answer. */
export async function askFor(port: number, request: RawRequest): Promise<RawAnswer> {
  const answer = await ask(port, request)
  if (!answer) throw new Error(`${request.method} ${request.path} was not answered`)
  return answer
}

/** The request line and headers of a request, with Host, Content-Length and `Connection: close` unless they are given. */
export function headOf({ method, path, headers = {}, body, version = '1.1' }: RawRequest): string {
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  if (!names.has('host')) lines.push('Host: files.example')
  if (!names.has('connection')) lines.push('Connection: close')
  if (body !== undefined && !names.has('content-length') && !names.has('transfer-encoding'))
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
  return `${method} ${path} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** Opens a connection to the server on `port`, from `localAddress` if it is given. */
export async function openRaw(port: number, localAddress?: string): Promise<RawConnection> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    ...(localAddress !== undefined && { localAddress }),
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  let received = ''
  let isClosed = false
  const watchers = new Set<() => void>()
  const wake = () => {
    for (const watch of watchers) watch()
  }
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    received += text
    wake()
  })
  // Tests expect connections to break.
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
    wake()
  })

  function wait<T>(look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const watch = () => {
        const found = look()
        if (found !== undefined) resolve(found)
        else if (isClosed) reject(new Error(`the connection was closed after: ${received}`))
        else return
        watchers.delete(watch)
      }
      watchers.add(watch)
      watch()
    })
  }

  const connection: RawConnection = {
    socket,
    send: (bytes) =>
      new Promise((resolve) => {
        socket.write(bytes, () => resolve())
      }),
    received: () => received,
    until: (pattern) => wait(() => (pattern.test(received) ? received : undefined)),
    closed: () => wait(() => (isClosed ? true : undefined)).then(() => {}),
    async answer() {
      await connection.closed()
      return parseAnswer(received)
    },
    cut: () => socket.destroy(),
  }
  return connection
}

/** Parses the interim responses and the final answer in `text`; `null` without a final answer. */
export function parseAnswer(text: string): RawAnswer | null {
  const interims: RawAnswer['interims'] = []
  for (let rest = text; ; ) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) return null
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(statusLine.split(' ')[1])
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    rest = rest.slice(end + 4)
    if (status >= 200) {
      const body = rest
      return { status, headers, body, interims, json: () => JSON.parse(body) }
    }
    interims.push({ status, headers })
  }
}
