/* Bad weather for a round: on both wires, and at the stand-in. The same seed makes the same sequence of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, randomTroubles, type Trouble } from '../../../test/support/fault-proxy.ts'
import type { S3StandIn } from '../../../test/support/s3-stand-in.ts'
import type { Seeded } from '../../../test/support/seeded.ts'
import type { Ground } from './ground.ts'

const troubles: Trouble[] = [
  { latencyMs: 30 },
  { latencyMs: 150 },
  { rate: 512 * 1024 },
  { cutAfterBytes: 100_000 },
  { blackHole: true },
  { refuse: true },
  { dropReply: true },
]
const joinOperation = 'CompleteMultipartUpload'
const refusals = [
  { status: 500 },
  { status: 503, code: 'SlowDown' },
  { status: 500, perform: true },
  { dropConnection: true },
  { dropConnection: { afterBytes: 100_000 } },
  { dropReply: true },
  { delayMs: 400 },
]
// The SDK tries four times: what shall be heard of must last longer.
const failedJoins = [
  { status: 500 },
  { status: 500, times: 6 },
  { status: 500, times: 6, perform: true },
  { errorBodyWith200: true, times: 6 },
  { errorBodyWith200: true, times: 6, perform: true },
  { dropConnection: true, times: 6 },
  { dropReply: true },
  { hang: true },
  { hang: 'after' as const },
  { abortMultipart: true },
  { abortMultipart: true },
]

export interface Storm {
  /** Fair weather again; resolves when it is. */
  end(): Promise<void>
}

/** Begins the bad weather. */
export function startStorm({ wires, standIn, aborted, environment }: Ground, chance: Seeded): Storm {
  const over = Promise.withResolvers<void>()
  let isOver = false
  const running = [rage(wires.database, chance.fork('database'))]
  if (wires.s3) running.push(rage(wires.s3, chance.fork('s3')))
  if (standIn) {
    const luck = chance.fork('stand-in')
    standIn.faults.sometimes(() => luck.next(), 0.03, refusals)
    running.push(breakJoins(standIn, chance.fork('joins')), abortSome(standIn, chance.fork('bucket')))
  }

  async function rage(wire: FaultProxy, mine: Seeded): Promise<void> {
    for (const spell of randomTroubles(mine, Number.POSITIVE_INFINITY, troubles)) {
      if (isOver) break
      wire.set(spell.trouble)
      if (spell.cutAll) wire.cutAll()
      // A server must have time to start: half of all starts would fail otherwise.
      await sleep(Object.keys(spell.trouble).length === 0 ? spell.ms * 4 : spell.ms)
    }
    wire.set({})
    // What hangs since a black hole would hang on.
    wire.cutAll()
  }

  /** There are few joins, one a file: about every other one fails in some way. */
  async function breakJoins(s3: S3StandIn, mine: Seeded): Promise<void> {
    while (!isOver) {
      const fault = mine.pick(failedJoins)
      const armed = s3.faults.next(joinOperation, fault)
      await Promise.race([armed.hit, over.promise])
      if ('abortMultipart' in fault) noteAborted(s3.seen.findLast((one) => one.operation === joinOperation)?.key)
      await Promise.race([sleep(mine.int(0, 1500)), over.promise])
    }
  }

  function noteAborted(key: string | null | undefined): void {
    aborted.add((key ?? '').slice(environment.S3_PREFIX?.length))
  }

  /** As a lifecycle rule does it, at the worst of times. */
  async function abortSome(s3: S3StandIn, mine: Seeded): Promise<void> {
    while (!isOver) {
      await sleep(mine.int(1000, 8000))
      const open = s3.multiparts()
      if (isOver || open.length === 0) continue
      const { key } = mine.pick(open)
      noteAborted(key)
      await s3.abortMultiparts(key)
    }
  }

  return {
    async end() {
      isOver = true
      over.resolve()
      standIn?.faults.clear()
      await Promise.all(running)
    },
  }
}
