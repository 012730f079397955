/*
 * Each connection answers one request at a time. With pipelining, one read of a socket can bring many requests, and Node would handle all
 * and buffer their answers although the client may never read one. Here a request waits, holding only its headers, until the answer
 * before it was handed to the kernel, and the socket is not read while a request waits. A client that does not read its answers thus
 * blocks its own connection only.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { onResponseClosed } from './response-closed.ts'

/** Maximum requests that wait on all connections together; about 3 KB each. */
const maxWaiting = 4096
/** A client without pipelining may send its next request while its last answer ends. Queues of this length are never cut. */
const unboundedSlots = 2
/** How many waiting requests are started in one turn of the event loop. */
const startedPerTurn = 32

type QueuedRequest = [IncomingMessage, ServerResponse]

export interface RequestQueues {
  /** The request listener for the server, in place of `listener`. */
  enqueue: RequestListener
  /** Whether a request of this connection is being answered. */
  isBusy(socket: Socket): boolean
  /** Whether a request of this connection waits for the answer before it. */
  hasWaiting(socket: Socket): boolean
}

/**
 * Passes the requests of each connection to `listener` one after the other. When more than `max` wait on all connections together, a
 * connection that adds another is destroyed, unless its own queue is short.
 */
export function boundPipelining(listener: RequestListener, max = maxWaiting): RequestQueues {
  const queues = new WeakMap<Socket, QueuedRequest[]>()
  let waiting = 0
  /** Connections whose next request can start, in the order in which they became free. */
  const ready: [Socket, QueuedRequest[]][] = []

  function queueOf(socket: Socket): QueuedRequest[] {
    const queue: QueuedRequest[] = []
    queues.set(socket, queue)
    // Node resumes a socket itself, after the end of a body or when an answer has drained, so it is paused again while requests wait.
    socket.on('resume', () => {
      if (queue.length > 1) socket.pause()
    })
    socket.once('close', () => {
      waiting -= Math.max(0, queue.length - 1)
      queue.length = 0
    })
    return queue
  }

  /** Starts the first request of a queue; it stays there while it is being answered. */
  function startFirst(socket: Socket, queue: QueuedRequest[]): void {
    const [request, response] = queue[0]!
    onResponseClosed(response, () => {
      if (queue.length === 0) return
      queue.shift()
      if (queue.length === 0 || socket.destroyed) return
      waiting -= 1
      if (queue.length === 1) socket.resume()
      if (ready.push([socket, queue]) === 1) setImmediate(startSome)
    })
    listener(request, response)
  }

  /**
   * Starts a limited number of waiting requests. An answer that the kernel accepts immediately ends within the same turn of the event
   * loop, so without the limit thousands of requests would be answered in one turn and all other clients would wait.
   */
  function startSome(): void {
    for (const [socket, queue] of ready.splice(0, startedPerTurn)) if (queue.length > 0) startFirst(socket, queue)
    if (ready.length > 0) setImmediate(startSome)
  }

  return {
    isBusy: (socket) => (queues.get(socket)?.length ?? 0) > 0,
    hasWaiting: (socket) => (queues.get(socket)?.length ?? 0) > 1,
    enqueue(request, response) {
      const { socket } = request
      if (socket.destroyed) return
      const queue = queues.get(socket) ?? queueOf(socket)
      queue.push([request, response])
      if (queue.length === 1) return startFirst(socket, queue)
      waiting += 1
      socket.pause()
      if (waiting > max && queue.length > unboundedSlots + 1) socket.destroy()
    },
  }
}
