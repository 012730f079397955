const second = 1000
const minute = 60 * second
const hour = 60 * minute

/** The waits before each attempt of a delivery: the first is made at once, and after the last one the delivery is dead. */
const waits = [0, 5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour]
const spread = 0.2
const maxRetryAfterMs = 24 * hour

/** An endpoint that has failed for this long is `failing`, and gets one attempt in each interval of that length. */
export const probeMs = 10 * minute
/** An endpoint that has failed for this long is paused. */
export const giveUpMs = 5 * 24 * hour
/** How long the previous secret signs after a rotation. */
export const rotationMs = 24 * hour

/**
 * How long a delivery waits after its failed attempt number `attempts`, in milliseconds; `null`: that was the last one.
 * @param random from 0 to 1; spreads the attempts of deliveries that failed together
 */
export function waitAfter(attempts: number, random: number): number | null {
  const wait = waits[attempts]
  return wait === undefined ? null : Math.round(wait * (1 - spread + 2 * spread * random))
}

/** The wait that a Retry-After header asks for, in milliseconds, at most a day; `null`: none that can be read. */
export function retryAfterMs(header: string | undefined, now: Date): number | null {
  if (header === undefined) return null
  const ms = /^\d{1,10}$/.test(header) ? Number(header) * second : Date.parse(header) - now.getTime()
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), maxRetryAfterMs)
}
