/*
 * Node's parser turns all bytes of one socket read into requests before any other code can run. 64 KiB hold two thousand small requests, so
 * a thousand connections can bring two million in one turn of the event loop, and no other client is served until all exist. Here the
 * parser gets a few hundred bytes at a time. When a request waits for the answer before it, the rest stays unread, and the number of
 * requests that are created in one turn is limited over all connections. The bytes of a body are passed on as they arrive.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { openReadMemory } from './read-memory.ts'

export interface Slicing {
  /** Bytes of request lines and headers that are parsed at once: a dozen of the smallest requests. */
  sliceBytes?: number
  /** Maximum requests that are created in one turn of the event loop; further connections wait for the next turn. */
  requestsPerTurn?: number
  /** Whether a request of this connection waits for the answer before it. */
  hasWaiting(socket: Socket): boolean
}

/** The slice of a chunked body, whose end is not known before it is parsed. Smaller slices cost more than they save. */
const chunkedSliceBytes = 16 * 1024
/** How many waiting connections are resumed in one turn. */
const resumedPerTurn = 32

/** The latest request of a connection, and how many bytes of its body have not been parsed; `NaN` for a chunked body. */
interface LatestRequest {
  request: IncomingMessage
  left: number
}

const beginnings = new WeakMap<Socket, string>()

/** The first 20 bytes of the latest read of a connection. A request that arrived in one read begins there. */
export function beginningOf(socket: Socket): string {
  return beginnings.get(socket) ?? ''
}

/** Makes `server` parse its input in slices. Call it before the server listens and after Node has added its own listeners. */
export function parseInSlices(server: Server, { sliceBytes = 512, requestsPerTurn = 256, hasWaiting }: Slicing): void {
  const latest = new WeakMap<Socket, LatestRequest>()
  const postponed = new Set<Socket>()
  const memory = openReadMemory()
  let created = 0
  let isTurnScheduled = false

  server.on('connection', (socket: Socket) => {
    // Node's listener that passes bytes to the parser. Replacing it also disables Node's fast path, which reads from the socket's handle
    // without calling any listener.
    const [parse] = socket.listeners('data') as ((bytes: Buffer) => void)[]
    if (!parse) return
    socket.off('data', parse)
    socket.on('data', (bytes: Buffer) => feed(socket, parse, bytes))
    socket.once('close', () => postponed.delete(socket))
  })
  server.on('request', (request: IncomingMessage) => {
    const { 'transfer-encoding': coding, 'content-length': length } = request.headers
    latest.set(request.socket, { request, left: coding === undefined ? Number(length ?? 0) : Number.NaN })
    created += 1
    scheduleTurn()
  })

  function feed(socket: Socket, parse: (bytes: Buffer) => void, bytes: Buffer): void {
    beginnings.set(socket, bytes.toString('latin1', 0, 20))
    for (let at = 0; at < bytes.length; ) {
      if (hasEnded(socket)) return
      const body = bodyOf(socket)
      if (created >= requestsPerTurn && !(body && body.left > 0)) {
        postponed.add(socket)
        unread(socket, bytes.subarray(at))
        return
      }
      // Node pauses the socket when a body or the answers are not read.
      if (at > 0 && (hasWaiting(socket) || socket.isPaused())) {
        unread(socket, bytes.subarray(at))
        return
      }
      const slice = bytes.subarray(at, at + sizeOf(body))
      if (body) memory.watch(body.request, bytes, () => parse(slice))
      else parse(slice)
      if (body) body.left -= slice.length
      at += slice.length
    }
    // After an error or an upgrade other code may keep what was read.
    if (!hasEnded(socket)) memory.release(bytes)
  }

  /** A body of known length is parsed at once. If less than a slice of it is left, the slice may also contain the next requests. */
  function sizeOf(body: LatestRequest | null): number {
    if (!body) return sliceBytes
    return Number.isNaN(body.left) ? chunkedSliceBytes : Math.max(sliceBytes, body.left)
  }

  function bodyOf(socket: Socket): LatestRequest | null {
    const last = latest.get(socket)
    return last && !last.request.complete ? last : null
  }

  function scheduleTurn(): void {
    if (isTurnScheduled) return
    isTurnScheduled = true
    setImmediate(beginTurn)
  }

  function beginTurn(): void {
    isTurnScheduled = false
    created = 0
    for (const socket of [...postponed].slice(0, resumedPerTurn)) {
      postponed.delete(socket)
      if (!hasWaiting(socket)) socket.resume()
    }
    if (postponed.size > 0) scheduleTurn()
  }
}

/** Pauses the socket and puts `rest` back into it; it is read again after `resume`. */
function unread(socket: Socket, rest: Buffer): void {
  socket.pause()
  socket.unshift(rest)
}

/** Whether the socket has no parser any more: Node reuses the parser of a connection that ended or received CONNECT for another one. */
function hasEnded(socket: Socket & { parser?: unknown }): boolean {
  return socket.destroyed || socket.parser === null
}
