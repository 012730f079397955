/*
 * A client that does not read its answer keeps the answer's bytes in this process and in the kernel. Node's own socket timeout does not
 * end such a connection, because it restarts with every byte that the client sends. This timeout counts the bytes that the kernel took.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

// The slowest client that is not cut: a slow phone must be able to read an asset of a megabyte.
const minBytesPerMs = 1

interface Progress {
  /** Bytes of answers that the kernel has taken. */
  sent: number
  /** When `sent` last increased; `performance.now()`. */
  at: number
}

/**
 * Destroys connections of `server` on which no byte of an answer could be sent for `timeoutMs` plus one millisecond per unsent byte. Checks
 * a few times within that time.
 */
export function enforceWriteTimeout(server: Server, timeoutMs: number): void {
  const open = new Map<Socket, Progress>()
  server.on('connection', (socket: Socket) => {
    open.set(socket, { sent: 0, at: performance.now() })
    socket.once('close', () => open.delete(socket))
  })
  const timer = setInterval(
    () => {
      for (const [socket, progress] of open) check(socket, progress, timeoutMs)
    },
    Math.max(20, Math.min(5_000, timeoutMs / 4)),
  )
  timer.unref()
  server.once('close', () => clearInterval(timer))
}

function check(socket: Socket, progress: Progress, timeoutMs: number): void {
  const now = performance.now()
  const unsent = socket.writableLength
  const sent = socket.bytesWritten - unsent
  if (unsent === 0 || sent > progress.sent) Object.assign(progress, { sent, at: now })
  else if (now - progress.at > timeoutMs + unsent / minBytesPerMs) socket.destroy()
}
