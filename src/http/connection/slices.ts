/*
 * Node's parser makes a request of everything that one read of a socket brings, before anything can stop it: 64 KiB hold two thousand
 * small requests, a thousand connections bring two million of them in one turn of the event loop, and no other client is heard until all
 * are made. Here the parser is given a few hundred bytes at a time. When a request waits for the answer to another, the rest stays
 * unread; and in one turn only so many requests are made of all that came on all connections. The bytes of a body pass as they came.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

export interface Slicing {
  /** Bytes of heads that are parsed at once: a dozen of the smallest requests. */
  sliceBytes?: number
  /** Requests that are made in one turn of the event loop; beyond them connections wait for another turn. */
  requestsPerTurn?: number
  /** Whether a request of this connection waits for the answer to another. */
  hasWaiting(socket: Socket): boolean
}

/** What a chunked body has at a time, because its end is not known before it is parsed: smaller slices cost more than they save. */
const chunkedSliceBytes = 16 * 1024
/** How many of the connections that wait for another turn are read again in it. */
const resumedPerTurn = 32

/** The request of a connection that came last, and how much of its body may still come. */
interface Last {
  request: IncomingMessage
  left: number
}

const beginnings = new WeakMap<Socket, string>()

/** The first 20 bytes of what came last on a connection, where a request begins if it came in one piece. */
export function beginningOf(socket: Socket): string {
  return beginnings.get(socket) ?? ''
}

/** Makes `server` parse what comes in slices. Call it before the server listens, and after Node's own listeners are there. */
export function parseInSlices(server: Server, { sliceBytes = 512, requestsPerTurn = 256, hasWaiting }: Slicing): void {
  const lasts = new WeakMap<Socket, Last>()
  const postponed = new Set<Socket>()
  let made = 0
  let isTurnDue = false

  server.on('connection', (socket: Socket) => {
    // What hands bytes to the parser of this connection. A listener of ours in its place also keeps Node from reading past all listeners.
    const [parse] = socket.listeners('data') as ((bytes: Buffer) => void)[]
    if (!parse) return
    socket.off('data', parse)
    socket.on('data', (bytes: Buffer) => feed(socket, parse, bytes))
    socket.once('close', () => postponed.delete(socket))
  })
  server.on('request', (request: IncomingMessage) => {
    const { 'transfer-encoding': coding, 'content-length': length } = request.headers
    lasts.set(request.socket, { request, left: coding === undefined ? Number(length ?? 0) : Number.NaN })
    made += 1
    expectTurn()
  })

  function feed(socket: Socket, parse: (bytes: Buffer) => void, bytes: Buffer): void {
    beginnings.set(socket, bytes.toString('latin1', 0, 20))
    for (let at = 0; at < bytes.length; ) {
      if (hasEnded(socket)) return
      const body = bodyOf(socket)
      if (made >= requestsPerTurn && !(body && body.left > 0)) {
        postponed.add(socket)
        keep(socket, bytes.subarray(at))
        return
      }
      // Node stops reading when a body is not taken, and its parser when answers are not.
      if (at > 0 && (hasWaiting(socket) || socket.isPaused())) {
        keep(socket, bytes.subarray(at))
        return
      }
      const slice = bytes.subarray(at, at + sizeOf(body))
      parse(slice)
      if (body) body.left -= slice.length
      at += slice.length
    }
  }

  /** A body of known length may have all of it at once: with its head came a slice at most, so no more than that lies behind its end. */
  function sizeOf(body: Last | null): number {
    if (!body) return sliceBytes
    return Number.isNaN(body.left) ? chunkedSliceBytes : Math.max(sliceBytes, body.left)
  }

  function bodyOf(socket: Socket): Last | null {
    const last = lasts.get(socket)
    return last && !last.request.complete ? last : null
  }

  function expectTurn(): void {
    if (isTurnDue) return
    isTurnDue = true
    setImmediate(beginTurn)
  }

  function beginTurn(): void {
    isTurnDue = false
    made = 0
    for (const socket of [...postponed].slice(0, resumedPerTurn)) {
      postponed.delete(socket)
      if (!hasWaiting(socket)) socket.resume()
    }
    if (postponed.size > 0) expectTurn()
  }
}

/** Back to where it came from: it comes again when the socket is read again. */
function keep(socket: Socket, rest: Buffer): void {
  socket.pause()
  socket.unshift(rest)
}

/** Node takes the parser from a connection that ends or was asked to CONNECT, and gives it to another. */
function hasEnded(socket: Socket & { parser?: unknown }): boolean {
  return socket.destroyed || socket.parser === null
}
