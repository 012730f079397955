import type { Readable } from 'node:stream'
import type { Pace } from './bandwidth.ts'
import type { BodySlot } from './body-gate.ts'

/**
 * How a body ended. `clean`: its end was seen. `early`: the connection broke. `overflow`: it brought more than `limit`.
 * `idle`: nothing came for too long, or too slowly, or for longer than a request may last. `stopped`: we stopped reading.
 */
export type BodyEnd = 'complete' | 'aborted' | 'too-long' | 'timeout' | 'cancelled'

export interface ReceiveBodyOptions {
  /** Bytes that may be taken; what comes beyond is left out. */
  limit: number
  /** Ends the reading when no byte came for so long. 0: never. */
  idleMs: number
  /** Ends the reading when fewer bytes a second came within a window of waiting for them. 0: never. */
  minSpeed: number
  /** The window; half a minute when not given. */
  speedWindowMs?: number
  /** Ends the reading when the whole body takes longer than this. 0: never. */
  totalMs: number
  /** Ends the reading when it aborts. */
  signal: AbortSignal
  /** Holds the reading back where bandwidth is limited; not given: it is not. */
  pace?: Pace | null | undefined
  /** Told how many bytes came, before they are taken. */
  slot?: Pick<BodySlot, 'received'> | undefined
  /** Takes a chunk. A promise makes the reading pause until it resolves; a rejection ends it with `stopped`. */
  take(chunk: Buffer): Promise<void> | null
}

// A phone between two cells brings nothing for a while; what stays below the least speed for longer only holds a place.
const defaultWindowMs = 30_000

/**
 * Reads a body to its end, however it ends; never rejects and never destroys the stream. It uses the stream's events,
 * not its iterator: an iterator costs a promise a chunk, and closes the connection when it is left.
 */
export function receiveBody(
  body: Readable,
  { limit, idleMs, minSpeed, speedWindowMs = defaultWindowMs, totalMs, signal, pace, slot, take }: ReceiveBodyOptions,
): Promise<BodyEnd> {
  const over = endBefore(body, signal)
  if (over) {
    pace?.leave()
    return Promise.resolve(over)
  }
  return new Promise((resolve) => {
    let isOver = false
    let taken = 0
    let lastByteAt = performance.now()
    // Time spent waiting for us is not the client's slowness.
    let pausedMs = 0
    let pausedSince: number | null = null
    const startedAt = lastByteAt
    /** Where the window of the least speed began: active time, and bytes by then. */
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
      const wait = fits.length > 0 ? take(fits) : null
      if (fits.length < chunk.length) {
        // Whoever takes the bytes knows what became of them; unheard, a rejection would end the process.
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
      // Later errors of a connection we no longer read from are nobody's business, but unheard they would end the process.
      body.on('error', () => {})
      signal.removeEventListener('abort', onStop)
      if (end !== 'complete') body.pause()
      resolve(end)
    }
  })
}

/** The end of a body that needs no reading any more. */
function endBefore(body: Readable, signal: AbortSignal): BodyEnd | null {
  if (body.readableEnded) return 'complete'
  if (body.destroyed || body.errored) return 'aborted'
  return signal.aborted ? 'cancelled' : null
}
