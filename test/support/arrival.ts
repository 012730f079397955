import type { IncomingMessage, Server } from 'node:http'
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Resolves when everything that `body` has brought so far was taken by its reader. */
export async function taken(body: Readable): Promise<void> {
  while (body.readableFlowing === null || body.readableLength > 0) await nextTurn()
}

/**
 * Watches the bodies of requests as they come to `server`, so that a test can go on when the server has read so much, and not after some time.
 * @returns waits until a body that has not ended yet, one that comes later included, has brought `bytes` and all of them were taken
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
