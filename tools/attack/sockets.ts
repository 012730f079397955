import { connect, type Socket } from 'node:net'

/** Opens `count` connections to `port`. Returns those that are still open. */
export async function openMany(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let at = 0; at < count; at += 100)
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(100, count - at) }, () => openOne(port)))))
  return sockets.filter((socket) => !socket.destroyed)
}

/** A connection that reads nothing. */
async function openOne(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.pause()
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
    socket.once('close', () => resolve())
  })
  return socket
}

/** Closes all of them. */
export function closeAll(sockets: Socket[]): void {
  for (const socket of sockets) socket.destroy()
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
