import { connect, type Socket } from 'node:net'

/** An answer as it came over the wire. Header names are in lower case. */
export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
  /** The interim answers (1xx) that came before it, in order. */
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

/** A connection on which a test says exactly what it wants to say, and sees exactly what comes back. */
export interface RawConnection {
  readonly socket: Socket
  send(bytes: Buffer | string): Promise<void>
  /** Everything that came so far. */
  heard(): string
  /** Resolves when what came matches, rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>
  /** Resolves when the server has closed the connection. */
  closed(): Promise<void>
  /** The final answer, when the connection is closed; `null` when there was none. */
  answer(): Promise<RawAnswer | null>
  cut(): void
}

/** Sends one request and returns its answer; `null` when the connection ended without one. */
export async function ask(port: number, request: RawRequest): Promise<RawAnswer | null> {
  const connection = await openRaw(port)
  await connection.send(headOf(request))
  if (request.body !== undefined) await connection.send(request.body)
  return connection.answer()
}

/** As `ask`, for requests that must be answered. */
export async function askFor(port: number, request: RawRequest): Promise<RawAnswer> {
  const answer = await ask(port, request)
  if (!answer) throw new Error(`${request.method} ${request.path} was not answered`)
  return answer
}

/** The head of a request. Content-Length is that of the body unless it is given; the connection is to be closed. */
export function headOf({ method, path, headers = {}, body, version = '1.1' }: RawRequest): string {
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  if (!names.has('host')) lines.push('Host: files.example')
  if (!names.has('connection')) lines.push('Connection: close')
  if (body !== undefined && !names.has('content-length') && !names.has('transfer-encoding'))
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
  return `${method} ${path} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** A connection to the server on `port`, from another address of this machine if one is given. */
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
  let heard = ''
  let isClosed = false
  const watchers = new Set<() => void>()
  const wake = () => {
    for (const watch of watchers) watch()
  }
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    heard += text
    wake()
  })
  // A connection that was ended abruptly is one of the things to be seen here.
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
        else if (isClosed) reject(new Error(`the connection was closed after: ${heard}`))
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
    heard: () => heard,
    until: (pattern) => wait(() => (pattern.test(heard) ? heard : undefined)),
    closed: () => wait(() => (isClosed ? true : undefined)).then(() => {}),
    async answer() {
      await connection.closed()
      return parseAnswer(heard)
    },
    cut: () => socket.destroy(),
  }
  return connection
}

/** The messages in `text`, of which the last is the final one. */
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
