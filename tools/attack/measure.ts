import type { Attack, Scale } from './attacks.ts'
import { pause } from './sockets.ts'
import type { Target } from './target.ts'

/** The effect of an attack on the server and on a well-behaved user. */
export interface Outcome {
  mode: string
  attack: string
  seconds: number
  /** MiB: the peak of the resident set, and its growth during the attack. */
  peakMiB: number
  grownMiB: number
  /** The longest delay of the event loop, in wall-clock time; a busy machine makes it longer. */
  delayMs: number
  /** The longest turn of the event loop, in CPU time, which does not depend on the load of the machine. */
  busyMs: number
  /** Uploads of the well-behaved user: their number, how many failed, and how long they took. */
  uploads: number
  failed: number
  medianMs: number
  slowestMs: number
  isAlive: boolean
}

/** Limits for every attack. */
export interface Bounds {
  peakMiB: number
  delayMs: number
  busyMs: number
  slowestMs: number
}

const MiB = 1024 ** 2
const file = Buffer.alloc(64 * 1024, 'content ')

/** Runs `attack` while a well-behaved user sends one small file after the other. */
export async function measure(target: Target, attack: Attack, scale: Scale): Promise<Outcome> {
  await settle(target)
  const before = (await target.samples()).at(-1)?.rss ?? 0
  const startedAt = performance.now()
  let isOver = false
  const attacking = attack.run(target, scale).finally(() => {
    isOver = true
  })
  const sending = sendWhile(target, `user beside ${attack.name}`, () => !isOver)
  await attacking
  const { times, failed } = await sending
  const seconds = (performance.now() - startedAt) / 1000
  await settle(target)
  const samples = await target.samples()
  const peak = Math.max(before, ...samples.map(({ rss }) => rss))
  const sorted = times.toSorted((a, b) => a - b)
  return {
    mode: target.mode,
    attack: attack.name,
    seconds: Math.round(seconds * 10) / 10,
    peakMiB: Math.round(peak / MiB),
    grownMiB: Math.round((peak - before) / MiB),
    delayMs: Math.max(0, ...samples.map(({ delayMs }) => delayMs)),
    busyMs: Math.max(0, ...samples.map(({ busyMs }) => busyMs)),
    uploads: times.length,
    failed,
    medianMs: Math.round(sorted[sorted.length >> 1] ?? 0),
    slowestMs: Math.round(sorted.at(-1) ?? 0),
    isAlive: target.isAlive(),
  }
}

/** A sentence for each figure of `outcome` that is out of `bounds`. */
export function violationsOf(outcome: Outcome, bounds: Bounds): string[] {
  const { attack, isAlive, failed, peakMiB, delayMs, busyMs, slowestMs } = outcome
  return [
    !isAlive && 'the server has ended',
    failed > 0 && `${failed} uploads of the other user failed`,
    peakMiB > bounds.peakMiB && `the process had ${peakMiB} MiB, more than ${bounds.peakMiB}`,
    delayMs > bounds.delayMs && `the event loop stood still for ${delayMs} ms, more than ${bounds.delayMs}`,
    busyMs > bounds.busyMs && `one turn of the event loop took ${busyMs} ms, more than ${bounds.busyMs}`,
    slowestMs > bounds.slowestMs && `an upload of the other user took ${slowestMs} ms, more than ${bounds.slowestMs}`,
  ]
    .filter((violation) => violation !== false)
    .map((violation) => `${attack}: ${violation}`)
}

/** Waits for two samples, so that consecutive attacks are measured separately. */
function settle(target: Target): Promise<void> {
  return target.isAlive() ? pause(600) : Promise.resolve()
}

async function sendWhile(target: Target, user: string, shouldContinue: () => boolean) {
  const authorization = await target.authorizationOf(user)
  const times: number[] = []
  let failed = 0
  do {
    const at = performance.now()
    try {
      const answer = await fetch(`${target.url}/v1/files/file-${times.length}.txt`, {
        method: 'PUT',
        headers: { authorization, 'content-type': 'text/plain' },
        body: file,
      })
      await answer.arrayBuffer()
      if (answer.status !== 201) failed += 1
    } catch {
      failed += 1
    }
    times.push(performance.now() - at)
    await pause(200)
  } while (shouldContinue())
  return { times, failed }
}
