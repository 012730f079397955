/*
 * One request of a connection is answered at a time. The requests of one read of the socket (pipelining) come together, and each would be
 * worked on, and its answer kept, although the client may never read one. Here a request waits, as nothing but its headers, until
 * the answer before it has been handed to the kernel; while one waits, the socket is not read. An answer that the client does not read
 * holds up its own connection and nothing else.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { onResponseClosed } from './response-closed.ts'

/** How many requests may wait on all connections together; some 3 KB each. */
const maxWaiting = 4096
/** A plain client may send its next request in the moment in which its last answer ends, and is never cut for it. */
const unboundedSlots = 2
/** Of requests that waited, how many are begun in one turn of the event loop. */
const begunPerTurn = 32

type Turn = [IncomingMessage, ServerResponse]

export interface Turns {
  /** Takes the requests of a server in the place of `listener`. */
  take: RequestListener
  /** Whether a request of this connection is being answered. */
  isBusy(socket: Socket): boolean
  /** Whether a request of this connection waits for the answer to another. */
  hasWaiting(socket: Socket): boolean
}

/**
 * Hands the requests of each connection to `listener` one after the other. When more than `most` wait on all connections together,
 * the connection that adds to them is cut, unless it is one that hardly pipelines.
 */
export function boundPipelining(listener: RequestListener, most = maxWaiting): Turns {
  const queues = new WeakMap<Socket, Turn[]>()
  let waiting = 0
  /** Connections whose next request can be begun, in the order in which they became free. */
  const ready: [Socket, Turn[]][] = []

  function queueOf(socket: Socket): Turn[] {
    const queue: Turn[] = []
    queues.set(socket, queue)
    // Node resumes reading for reasons of its own: a body that ended, an answer that was drained.
    socket.on('resume', () => {
      if (queue.length > 1) socket.pause()
    })
    socket.once('close', () => {
      waiting -= Math.max(0, queue.length - 1)
      queue.length = 0
    })
    return queue
  }

  /** The first of a queue is the one that is being answered. */
  function answerFirst(socket: Socket, queue: Turn[]): void {
    const [request, response] = queue[0]!
    onResponseClosed(response, () => {
      if (queue.length === 0) return
      queue.shift()
      if (queue.length === 0 || socket.destroyed) return
      waiting -= 1
      if (queue.length === 1) socket.resume()
      if (ready.push([socket, queue]) === 1) setImmediate(answerSome)
    })
    listener(request, response)
  }

  /**
   * An answer that the kernel takes at once ends within the same turn of the event loop: thousands would follow one another in it, of one
   * connection or of many, and no other client would be heard meanwhile.
   */
  function answerSome(): void {
    for (const [socket, queue] of ready.splice(0, begunPerTurn)) if (queue.length > 0) answerFirst(socket, queue)
    if (ready.length > 0) setImmediate(answerSome)
  }

  return {
    isBusy: (socket) => (queues.get(socket)?.length ?? 0) > 0,
    hasWaiting: (socket) => (queues.get(socket)?.length ?? 0) > 1,
    take(request, response) {
      const { socket } = request
      if (socket.destroyed) return
      const queue = queues.get(socket) ?? queueOf(socket)
      queue.push([request, response])
      if (queue.length === 1) return answerFirst(socket, queue)
      waiting += 1
      socket.pause()
      if (waiting > most && queue.length > unboundedSlots + 1) socket.destroy()
    },
  }
}
