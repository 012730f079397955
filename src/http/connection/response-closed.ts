import type { ServerResponse } from 'node:http'

const waiting = new WeakMap<ServerResponse, (() => void)[]>()

/**
 * Calls `work` once `response` is over: its answer was handed to the kernel, or its client is gone. All who wait for one response share
 * one listener, in the order in which they came. Node warns of a leak at eleven, and Fastify, its streams and Node need most of them.
 */
export function onResponseClosed(response: ServerResponse, work: () => void): void {
  const known = waiting.get(response)
  if (known) return void known.push(work)
  const works = [work]
  waiting.set(response, works)
  response.once('close', () => {
    waiting.delete(response)
    for (const each of works) each()
  })
}
