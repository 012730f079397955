import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  headers: Record<string, string>
}

/** A persistent connection to a server, with as little client work as possible. */
export interface Connection {
  /** Sends a request with a body of `size` bytes. Rejects when the connection ends before the answer. */
  ask(method: string, path: string, headers: Record<string, string | number>, size?: number): Promise<Answer>
  /** As `ask`, but sends the body at `bytesPerSecond`. */
  askSlowly(
    method: string,
    path: string,
    headers: Record<string, string | number>,
    size: number,
    bytesPerSecond: number,
  ): Promise<Answer>
  close(): void
}

// Bytes of each write. Their content does not matter: nothing on the way compresses them.
const source = Buffer.alloc(1024 ** 2, 'abcdefghijklmnopqrstuvwxyz012345')
const joinedUpTo = 256 * 1024

/** Connects to `port` on this machine. */
export async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const listen = answersOn(socket)

  const headOf = (method: string, path: string, headers: Record<string, string | number>, size: number) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    return `${method} ${path} HTTP/1.1\r\nhost: bench\r\ncontent-length: ${size}\r\n${lines.join('')}\r\n`
  }

  return {
    async ask(method, path, headers, size = 0) {
      const answer = listen()
      const head = headOf(method, path, headers, size)
      if (size <= joinedUpTo) {
        socket.cork()
        socket.write(head, 'latin1')
        if (size > 0) socket.write(source.subarray(0, size))
        socket.uncork()
      } else {
        socket.write(head, 'latin1')
        writeBody(socket, size)
      }
      return answer
    },
    async askSlowly(method, path, headers, size, bytesPerSecond) {
      const answer = listen()
      socket.write(headOf(method, path, headers, size), 'latin1')
      const everyMs = 500
      let sent = 0
      const drip = setInterval(() => {
        const next = Math.min(size - sent, Math.ceil((bytesPerSecond * everyMs) / 1000))
        sent += next
        socket.write(source.subarray(0, next))
        if (sent >= size) clearInterval(drip)
      }, everyMs)
      return answer.finally(() => clearInterval(drip))
    },
    close: () => socket.destroy(),
  }
}

/** Keeps two megabytes in flight. */
function writeBody(socket: Socket, size: number): void {
  let sent = 0
  const next = () => {
    if (sent >= size || socket.destroyed) return
    const bytes = source.subarray(0, Math.min(source.length, size - sent))
    sent += bytes.length
    socket.write(bytes, next)
  }
  next()
  next()
}

/** Returns a function that resolves to the next final answer on the socket. */
function answersOn(socket: Socket): () => Promise<Answer> {
  let heard = ''
  let waiter: { resolve(answer: Answer): void; reject(error: Error): void } | null = null
  let broken: Error | null = null
  const breaks = (error?: Error) => {
    broken ??= error ?? new Error('the connection ended')
    waiter?.reject(broken)
    waiter = null
  }
  socket.on('error', breaks)
  socket.on('close', () => breaks())
  socket.on('data', (bytes: Buffer) => {
    heard += bytes.toString('latin1')
    for (;;) {
      const end = heard.indexOf('\r\n\r\n')
      if (end < 0) return
      const answer = parse(heard.slice(0, end))
      const size = Number(answer.headers['content-length'] ?? 0)
      if (heard.length < end + 4 + size) return
      heard = heard.slice(end + 4 + size)
      if (answer.status < 200) continue
      waiter?.resolve(answer)
      waiter = null
    }
  })
  return () =>
    new Promise((resolve, reject) => {
      if (broken) return reject(broken)
      waiter = { resolve, reject }
    })
}

function parse(text: string): Answer {
  const [first = '', ...lines] = text.split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(first.split(' ')[1]), headers }
}
