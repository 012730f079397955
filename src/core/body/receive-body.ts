import { AsyncLocalStorage } from 'node:async_hooks'
import type { Readable } from 'node:stream'
import type { Pace } from './bandwidth.ts'
import type { BodySlot } from './body-gate.ts'

/**
 * How a body ended. `complete`: its end arrived. `aborted`: the connection broke. `too-long`: it had more than `limit` bytes. `timeout`:
 * no byte arrived for too long, or too slowly, or the body took longer than a request may. `cancelled`: the server stopped reading.
 */
export type BodyEnd = 'complete' | 'aborted' | 'too-long' | 'timeout' | 'cancelled'

export interface ReceiveBodyOptions {
  /** Bytes that may be taken; bytes beyond it are dropped. */
  limit: number
  /** Ends the body when no byte arrived for this long. 0: never. */
  idleMs: number
  /** Bytes a second. Ends the body when it was slower for a window of time that was spent waiting for the client. 0: never. */
  minSpeed: number
  /** The window of `minSpeed`; 30 seconds by default. */
  speedWindowMs?: number
  /** Ends the body when the whole of it takes longer than this. 0: never. */
  totalMs: number
  /** Ends the body when it aborts. */
  signal: AbortSignal
  /** Slows the reading down to the bandwidth limits, if there are any. */
  pace?: Pace | null | undefined
  /** Gets the number of bytes that arrived, before they are taken. */
  slot?: Pick<BodySlot, 'received'> | undefined
  /** Takes a chunk. Reading pauses until a returned promise resolves; a rejection ends the body as `cancelled`. */
  take(chunk: Buffer): Promise<void> | null
}

// A phone that changes cells sends nothing for some seconds; a body that is too slow for longer only occupies a place.
const defaultWindowMs = 30_000

/**
 * Reads a body to its end, however it ends; never rejects and never destroys the stream. It uses the events of the stream and not its
 * iterator, which costs a promise for each chunk and closes the connection when the loop is left.
 */
export function receiveBody(
  body: Readable,
  { limit, idleMs, minSpeed, speedWindowMs = defaultWindowMs, totalMs, signal, pace, slot, take }: ReceiveBodyOptions,
): Promise<BodyEnd> {
  const end = endBefore(body, signal)
  if (end) {
    pace?.leave()
    return Promise.resolve(end)
  }
  // The bytes arrive in events of the connection, but are taken for the user of this request.
  const takeForUser = AsyncLocalStorage.bind(take)
  return new Promise((resolve) => {
    let isOver = false
    let taken = 0
    let lastByteAt = performance.now()
    // Time in which the server paused the body does not make the client slow.
    let pausedMs = 0
    let pausedSince: number | null = null
    const startedAt = lastByteAt
    /** The start of the current window of `minSpeed`: unpaused time, and bytes taken by then. */
    let windowAtMs = 0
    let windowTaken = 0
    const timer =
      idleMs > 0 || minSpeed > 0 || totalMs > 0
        ? setInterval(watch, Math.max(50, Math.min(1000, idleMs / 4 || 1000, totalMs / 4 || 1000, speedWindowMs / 4)))
        : null

    body.on('data', onData)
    body.on('end', onEnd)
    body.on('error', onBreak)
    body.on('close', onBreak)
    body.on('aborted', onBreak)
    signal.addEventListener('abort', onStop, { once: true })
    const turn = pace?.spend(0)
    if (turn) pauseFor(turn)

    function onData(chunk: Buffer) {
      lastByteAt = performance.now()
      slot?.received(chunk.length)
      const room = limit - taken
      const fits = chunk.length <= room ? chunk : chunk.subarray(0, room)
      taken += fits.length
      const wait = fits.length > 0 ? takeForUser(fits) : null
      if (fits.length < chunk.length) {
        // `take` handles its own failure; without a handler here, the rejection would end the process.
        wait?.catch(() => {})
        return finish('too-long')
      }
      const turn = pace ? pace.spend(fits.length) : null
      if (turn) pauseFor(wait ? Promise.all([wait, turn]) : turn)
      else if (wait) pauseFor(wait)
    }

    function pauseFor(wait: Promise<unknown>) {
      body.pause()
      pausedSince = performance.now()
      wait.then(
        () => {
          const now = performance.now()
          pausedMs += now - (pausedSince ?? now)
          pausedSince = null
          lastByteAt = now
          if (!isOver) body.resume()
        },
        () => finish('cancelled'),
      )
    }

    function watch() {
      if (pausedSince !== null) return
      const now = performance.now()
      if (idleMs > 0 && now - lastByteAt >= idleMs) return finish('timeout')
      if (totalMs > 0 && now - startedAt >= totalMs) return finish('timeout')
      const activeMs = now - startedAt - pausedMs
      if (minSpeed === 0 || activeMs - windowAtMs < speedWindowMs) return
      if ((taken - windowTaken) / ((activeMs - windowAtMs) / 1000) < minSpeed) return finish('timeout')
      windowAtMs = activeMs
      windowTaken = taken
    }

    function onEnd() {
      finish('complete')
    }
    function onBreak() {
      finish(body.readableEnded ? 'complete' : 'aborted')
    }
    function onStop() {
      finish('cancelled')
    }

    function finish(end: BodyEnd) {
      if (isOver) return
      isOver = true
      if (timer) clearInterval(timer)
      pace?.leave()
      body.off('data', onData)
      body.off('end', onEnd)
      body.off('error', onBreak)
      body.off('close', onBreak)
      body.off('aborted', onBreak)
      // Later errors of the connection do not matter, but without a listener they would end the process.
      body.on('error', () => {})
      signal.removeEventListener('abort', onStop)
      if (end !== 'complete') body.pause()
      resolve(end)
    }
  })
}

/** How the body has ended already; `null` while it can be read. */
function endBefore(body: Readable, signal: AbortSignal): BodyEnd | null {
  if (body.readableEnded) return 'complete'
  if (body.destroyed || body.errored) return 'aborted'
  return signal.aborted ? 'cancelled' : null
}
