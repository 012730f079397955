import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** A connection to a scanner, for one question. */
export interface ScannerConnection {
  /** Sends bytes, and waits until the scanner has room for more. False: it has answered or left, and takes no more. */
  send(bytes: Buffer | string): Promise<boolean>
  /** The whole answer, once the scanner has closed the connection or `isWhole` says so. @throws the error of the connection */
  answer(): Promise<Buffer>
  close(): void
}

// No scanner that is right sends more; one that is not must not fill the memory.
const maxAnswer = 64 * 1024

/**
 * Connects to a scanner. The connection ends with `signal`.
 * @param isWhole whether the bytes received so far are the whole answer
 */
export function openConnection(
  where: NetConnectOpts,
  signal: AbortSignal,
  isWhole: (received: Buffer) => boolean,
): ScannerConnection {
  const answer = Promise.withResolvers<Buffer>()
  // It may be rejected before the scan waits for it.
  answer.promise.catch(() => {})
  let received = Buffer.alloc(0)
  let isOver = false
  const waiting = new Set<() => void>()
  const socket: Socket = connect({ ...where, signal } as NetConnectOpts)
  const over = () => {
    isOver = true
    for (const go of waiting) go()
    waiting.clear()
  }
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (received.length < maxAnswer && !isWhole(received)) return
    answer.resolve(received)
    over()
  })
  socket.on('drain', () => {
    for (const go of waiting) go()
    waiting.clear()
  })
  // What was received stays an answer: a scanner that refuses a file may reset the connection with bytes of it on their way.
  socket.on('error', (error) => {
    if (received.length > 0) answer.resolve(received)
    else answer.reject(error)
    over()
  })
  socket.on('close', () => {
    answer.resolve(received)
    over()
  })
  return {
    async send(bytes) {
      if (isOver) return false
      if (!socket.write(bytes)) await new Promise<void>((resolve) => waiting.add(resolve))
      return !isOver
    },
    answer: () => answer.promise,
    close: () => socket.destroy(),
  }
}
