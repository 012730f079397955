import type { Attack, Scale } from './attacks.ts'
import { pause } from './sockets.ts'
import type { Target } from './target.ts'

/** What an attack did to the server, and to an honest user beside it. */
export interface Outcome {
  mode: string
  attack: string
  seconds: number
  /** MiB: the most the process had, and how much more that is than before. */
  peakMiB: number
  grownMiB: number
  /** The longest time for which the event loop stood still, on the clock; a busy machine makes it longer. */
  delayMs: number
  /** The longest time for which it worked without a pause: processor time, the same on a busy machine. */
  busyMs: number
  /** Uploads of an honest user: how many, how many were refused or lost, how long they took. */
  uploads: number
  failed: number
  medianMs: number
  slowestMs: number
  isAlive: boolean
}

/** What must hold for every attack. */
export interface Bounds {
  peakMiB: number
  delayMs: number
  busyMs: number
  slowestMs: number
}

const MiB = 1024 ** 2
const file = Buffer.alloc(64 * 1024, 'honest ')

/** Runs `attack` while an honest user sends one small file after the other. */
export async function measure(target: Target, attack: Attack, scale: Scale): Promise<Outcome> {
  await settle(target)
  const before = (await target.samples()).at(-1)?.rss ?? 0
  const startedAt = performance.now()
  let isOver = false
  const attacking = attack.run(target, scale).finally(() => {
    isOver = true
  })
  const honest = sendWhile(target, `honest beside ${attack.name}`, () => !isOver)
  await attacking
  const { times, failed } = await honest
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

/** What of `outcome` is out of `bounds`, in words. */
export function faultsOf(outcome: Outcome, bounds: Bounds): string[] {
  const { attack, isAlive, failed, peakMiB, delayMs, busyMs, slowestMs } = outcome
  return [
    !isAlive && 'the server has ended',
    failed > 0 && `${failed} honest uploads failed`,
    peakMiB > bounds.peakMiB && `the process had ${peakMiB} MiB, more than ${bounds.peakMiB}`,
    delayMs > bounds.delayMs && `the event loop stood still for ${delayMs} ms, more than ${bounds.delayMs}`,
    busyMs > bounds.busyMs && `one turn of the event loop took ${busyMs} ms, more than ${bounds.busyMs}`,
    slowestMs > bounds.slowestMs && `an honest upload took ${slowestMs} ms, more than ${bounds.slowestMs}`,
  ]
    .filter((fault) => fault !== false)
    .map((fault) => `${attack}: ${fault}`)
}

/** As long as it takes for two samples: what comes next is then seen alone, and what was is seen whole. */
function settle(target: Target): Promise<void> {
  return target.isAlive() ? pause(600) : Promise.resolve()
}

async function sendWhile(target: Target, user: string, goesOn: () => boolean) {
  const authorization = await target.as(user)
  const times: number[] = []
  let failed = 0
  do {
    const at = performance.now()
    try {
      const answer = await fetch(`${target.url}/v1/files/honest-${times.length}.txt`, {
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
  } while (goesOn())
  return { times, failed }
}
