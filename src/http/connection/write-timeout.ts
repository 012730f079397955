/*
 * A client that does not read its answer keeps the answer's bytes here and in the kernel. Node's own timeout of a connection does not see
 * it: it begins anew with every byte that the client sends. What counts here is what was handed to the kernel.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

// A slow phone that reads an asset of a megabyte is not one that does not read.
const minBytesPerMs = 1

interface Progress {
  /** Bytes that the kernel took of all that was written. */
  sent: number
  /** When that was last more than before; `performance.now()`. */
  at: number
}

/**
 * Cuts connections of `server` on which nothing of an answer could be sent for `timeoutMs`, and a millisecond more for each byte
 * that waits. Looks a few times within that time.
 */
export function enforceWriteTimeout(server: Server, timeoutMs: number): void {
  const open = new Map<Socket, Progress>()
  server.on('connection', (socket: Socket) => {
    open.set(socket, { sent: 0, at: performance.now() })
    socket.once('close', () => open.delete(socket))
  })
  const timer = setInterval(
    () => {
      for (const [socket, progress] of open) look(socket, progress, timeoutMs)
    },
    Math.max(20, Math.min(5_000, timeoutMs / 4)),
  )
  timer.unref()
  server.once('close', () => clearInterval(timer))
}

function look(socket: Socket, progress: Progress, timeoutMs: number): void {
  const now = performance.now()
  const unsent = socket.writableLength
  const sent = socket.bytesWritten - unsent
  if (unsent === 0 || sent > progress.sent) Object.assign(progress, { sent, at: now })
  else if (now - progress.at > timeoutMs + unsent / minBytesPerMs) socket.destroy()
}
