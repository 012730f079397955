import type { IncomingMessage, Server } from 'node:http'
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Resolves when the reader of `body` has consumed all bytes received so far. */
export async function taken(body: Readable): Promise<void> {
  while (body.readableFlowing === null || body.readableLength > 0) await nextTurn()
}

/**
 * Watches the bodies of requests to `server`, so that a test can continue when the server has read a number of bytes, instead of after
 * some time.
 * @returns waits until `bytes` of a body that has not ended, also of a later request, were received and consumed
 */
export function watchBodies(server: Server): (bytes: number) => Promise<void> {
  const arrived = new Map<IncomingMessage, number>()
  server.on('request', (request: IncomingMessage) => {
    arrived.set(request, 0)
    const push = request.push.bind(request)
    request.push = (chunk: Buffer | null, ...rest) => {
      if (chunk) arrived.set(request, arrived.get(request)! + chunk.length)
      return push(chunk, ...rest)
    }
  })
  return async (bytes) => {
    for (;;) {
      const body = [...arrived].find(([body, count]) => count >= bytes && !body.complete && !body.destroyed)?.[0]
      if (body) return taken(body)
      await nextTurn()
    }
  }
}
