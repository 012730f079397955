import type { ServerResponse } from 'node:http'

const waiting = new WeakMap<ServerResponse, (() => void)[]>()

/**
 * Calls `work` once when `response` closes: its answer was handed to the kernel, or its client has gone. All calls for one response share
 * one event listener and run in order. Node warns of a leak at eleven listeners, and Fastify, its streams and Node use most of them.
 */
export function onResponseClosed(response: ServerResponse, work: () => void): void {
  const known = waiting.get(response)
  if (known) return void known.push(work)
  const callbacks = [work]
  waiting.set(response, callbacks)
  response.once('close', () => {
    waiting.delete(response)
    for (const callback of callbacks) callback()
  })
}
