import type { Socket } from 'node:net'

/** Request line and headers. Header names are in lower case. */
export interface Head {
  method: string
  target: string
  headers: Record<string, string>
}

export interface Answer {
  status: number
  headers?: Record<string, string | number>
  /** Text, bytes, or a number of arbitrary bytes. */
  body?: string | Buffer | number
  /** Sends the headers only, in answer to HEAD. */
  isHead?: boolean
}

/** How one request is handled. */
export interface Exchange {
  /** Whether `answer` needs the body; otherwise it is counted and discarded. */
  wantsBody: boolean
  /** Called when the body has ended. */
  answer(body: Buffer, wireSize: number): Answer
}

/** Latency and faults of all connections; may change at any time. */
export interface Faults {
  /** Delays every answer. */
  latencyMs: number
  /** Bytes a second on each connection; 0: unlimited. */
  bandwidth: number
  /** Reads no bodies. */
  isStalled: boolean
}

const nothing = Buffer.alloc(256 * 1024)

/**
 * Serves HTTP/1.1 on one connection with as little work as possible: bodies that `wantsBody` does not ask for are neither parsed nor
 * copied. Supports Content-Length, chunked coding and Expect, one request after another.
 */
export function serveWire(socket: Socket, faults: Faults, open: (head: Head) => Exchange): void {
  let waiting: Buffer | null = null
  let exchange: Exchange | null = null
  let kept: Buffer[] = []
  let wireSize = 0
  let left = 0
  let chunked: ChunkReader | null = null
  let busyUntil = 0

  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    try {
      read(bytes)
    } catch (error) {
      socket.destroy(error as Error)
    }
    if (exchange) slowDown(bytes.length)
  })

  function read(bytes: Buffer) {
    if (!exchange) return readHead(bytes)
    wireSize += bytes.length
    if (chunked) {
      const wanted = exchange.wantsBody ? kept : null
      if (chunked.take(bytes, wanted)) finish()
      return
    }
    if (exchange.wantsBody) kept.push(bytes)
    left -= bytes.length
    if (left <= 0) finish()
  }

  function readHead(bytes: Buffer) {
    const all = waiting ? Buffer.concat([waiting, bytes]) : bytes
    const end = all.indexOf('\r\n\r\n')
    if (end < 0) {
      waiting = all
      return
    }
    waiting = null
    const head = parseHead(all.toString('latin1', 0, end))
    exchange = open(head)
    kept = []
    wireSize = 0
    chunked = head.headers['transfer-encoding'] === 'chunked' ? chunkReader() : null
    left = Number(head.headers['content-length'] ?? 0)
    if (head.headers['expect'] !== undefined)
      setTimeout(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'), faults.latencyMs)
    const rest = all.subarray(end + 4)
    if (left === 0 && !chunked) finish()
    else if (rest.length > 0) read(rest)
  }

  function finish() {
    const { answer } = exchange!
    exchange = null
    const send = () => write(socket, answer(Buffer.concat(kept), wireSize))
    if (faults.latencyMs > 0) setTimeout(send, faults.latencyMs)
    else send()
  }

  function slowDown(bytes: number) {
    if (faults.isStalled) {
      socket.pause()
      const timer = setInterval(() => {
        if (faults.isStalled && !socket.destroyed) return
        clearInterval(timer)
        socket.resume()
      }, 20)
    }
    if (faults.bandwidth === 0) return
    const now = performance.now()
    busyUntil = Math.max(busyUntil, now) + (bytes / faults.bandwidth) * 1000
    if (busyUntil - now < 10) return
    socket.pause()
    setTimeout(() => socket.resume(), busyUntil - now)
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const [method = '', target = ''] = first.split(' ')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { method, target, headers }
}

function write(socket: Socket, { status, headers = {}, body = '', isHead = false }: Answer) {
  if (socket.destroyed) return
  const size = typeof body === 'number' ? body : Buffer.byteLength(body)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${status} -\r\ncontent-length: ${size}\r\n${lines.join('')}\r\n`
  if (isHead || size === 0 || status === 204) return void socket.write(head)
  socket.cork()
  socket.write(head)
  if (typeof body !== 'number') socket.write(body)
  else for (let at = 0; at < size; at += nothing.length) socket.write(nothing.subarray(0, size - at))
  socket.uncork()
}

interface ChunkReader {
  /** True when the last chunk and the trailers have passed. */
  take(bytes: Buffer, keep: Buffer[] | null): boolean
}

/** RFC 9112, section 7.1. */
function chunkReader(): ChunkReader {
  let left = 0
  let line = ''
  let isLast = false
  return {
    take(bytes, keep) {
      for (let at = 0; at < bytes.length; ) {
        if (left > 0) {
          const data = bytes.subarray(at, at + left)
          keep?.push(data)
          at += data.length
          left -= data.length
          continue
        }
        const end = bytes.indexOf(10, at)
        line += bytes.toString('latin1', at, end < 0 ? bytes.length : end + 1)
        if (end < 0) return false
        at = end + 1
        const text = line.trim()
        line = ''
        if (isLast && text === '') return true
        // An empty line ends the data of a chunk. Lines after the last chunk are trailers.
        if (isLast || text === '') continue
        left = Number.parseInt(text, 16)
        isLast = left === 0
      }
      return false
    },
  }
}
