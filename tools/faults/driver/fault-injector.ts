/* Injects faults during a round: in both proxies and in the S3 stand-in. The same seed gives the same sequence. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, randomTroubles, type Trouble } from '../../../test/support/fault-proxy.ts'
import type { S3StandIn } from '../../../test/support/s3-stand-in.ts'
import type { Seeded } from '../../../test/support/seeded.ts'
import type { Environment } from './environment.ts'

const troubles: Trouble[] = [
  { latencyMs: 30 },
  { latencyMs: 150 },
  { rate: 512 * 1024 },
  { cutAfterBytes: 100_000 },
  { blackHole: true },
  { refuse: true },
  { dropReply: true },
]
const completeOperation = 'CompleteMultipartUpload'
const storeFaults = [
  { status: 500 },
  { status: 503, code: 'SlowDown' },
  { status: 500, perform: true },
  { dropConnection: true },
  { dropConnection: { afterBytes: 100_000 } },
  { dropReply: true },
  { delayMs: 400 },
]
// The SDK makes four attempts: an error that the server must see lasts longer.
const completionFaults = [
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

export interface FaultInjector {
  /** Ends all faults; resolves when none is active. */
  end(): Promise<void>
}

/** Starts to inject faults. */
export function startFaults({ proxies, standIn, aborted, settings }: Environment, random: Seeded): FaultInjector {
  const over = Promise.withResolvers<void>()
  let isOver = false
  const running = [disturb(proxies.database, random.fork('database'))]
  if (proxies.s3) running.push(disturb(proxies.s3, random.fork('s3')))
  if (standIn) {
    const dice = random.fork('stand-in')
    standIn.faults.sometimes(() => dice.next(), 0.03, storeFaults)
    running.push(breakCompletions(standIn, random.fork('completions')), abortSome(standIn, random.fork('bucket')))
  }

  async function disturb(proxy: FaultProxy, random: Seeded): Promise<void> {
    for (const phase of randomTroubles(random, Number.POSITIVE_INFINITY, troubles)) {
      if (isOver) break
      proxy.set(phase.trouble)
      if (phase.cutAll) proxy.cutAll()
      // A server must have time to start: half of all starts would fail otherwise.
      await sleep(Object.keys(phase.trouble).length === 0 ? phase.ms * 4 : phase.ms)
    }
    proxy.set({})
    // Connections that a black hole has stalled would stay open.
    proxy.cutAll()
  }

  /** A file has one CompleteMultipartUpload: about every other one fails in some way. */
  async function breakCompletions(s3: S3StandIn, random: Seeded): Promise<void> {
    while (!isOver) {
      const fault = random.pick(completionFaults)
      const armed = s3.faults.next(completeOperation, fault)
      await Promise.race([armed.hit, over.promise])
      if ('abortMultipart' in fault) noteAborted(s3.seen.findLast((call) => call.operation === completeOperation)?.key)
      await Promise.race([sleep(random.int(0, 1500)), over.promise])
    }
  }

  function noteAborted(key: string | null | undefined): void {
    aborted.add((key ?? '').slice(settings.S3_PREFIX?.length))
  }

  /** Aborts open multipart uploads, as a lifecycle rule of a bucket does. */
  async function abortSome(s3: S3StandIn, random: Seeded): Promise<void> {
    while (!isOver) {
      await sleep(random.int(1000, 8000))
      const open = s3.multiparts()
      if (isOver || open.length === 0) continue
      const { key } = random.pick(open)
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
