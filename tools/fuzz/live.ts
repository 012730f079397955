/*
 * Requests that are nearly right, and some that are nothing at all, in all dialects, on connections that behave and some
 * that do not. Whatever comes: an answer of the protocol and never a fault, soon; and when all is quiet nothing is left,
 * nothing is held, and a good file arrives.
 */
import { type Seeded, seeded } from '../../test/support/seeded.ts'
import type { StoreKind } from '../../test/support/store-kinds.ts'
import { account, clear, fates } from './account.ts'
import { bend } from './bend.ts'
import type { Draft, Known, Making } from './draft.ts'
import { type Framed, frame } from './frame.ts'
import { sendGood } from './good.ts'
import { openGround } from './ground.ts'
import { judge, learn } from './judge.ts'
import { sayRest } from './say-rest.ts'
import { sayRufh } from './say-rufh.ts'
import { sayTus } from './say-tus.ts'
import { converse, type Heard, type Manner } from './wire.ts'

export interface Fuzz {
  seed: string
  requests: number
  store: StoreKind
  /** Requests between two looks at everything. */
  batch?: number
  /** Stops after so many violations. */
  enough?: number
  tell?: (line: string) => void
}

export interface Verdict {
  requests: number
  violations: string[]
  /** How often what was answered: a status, or how a connection ended without one; and what became of uploads. */
  counts: Record<string, number>
  slowestMs: number
  /** MiB of the heap after each batch, when it was swept. */
  heap: number[]
}

interface Conversation {
  /** The number of its first request. */
  at: number
  drafts: Draft[]
  requests: Framed[]
  manner: Manner
}

const atOnce = 8
const lateMs = 30_000

/** Lives through one run. */
export async function liveFuzz({
  seed,
  requests: wanted,
  store,
  batch = 300,
  enough = 10,
  tell = () => {},
}: Fuzz): Promise<Verdict> {
  const ground = await openGround(store)
  const chance = seeded(`fuzz/${seed}`)
  const known: Known[] = []
  const verdict: Verdict = { requests: 0, violations: [], counts: {}, slowestMs: 0, heap: [] }
  const count = (what: string) => {
    verdict.counts[what] = (verdict.counts[what] ?? 0) + 1
  }
  const making: Making = { chance, known, part: ground.part, tokens: ground.tokens }

  for (let batches = 1; verdict.requests < wanted && verdict.violations.length < enough; batches += 1) {
    const end = Math.min(wanted, verdict.requests + batch)
    while (verdict.requests < end) {
      // All are made before any is sent: what is said depends on the seed, and not on who is answered first.
      const conversations = Array.from({ length: atOnce }, () => {
        const one = plan(making, verdict.requests)
        verdict.requests += one.requests.length
        return one
      })
      const heard = await Promise.all(
        conversations.map(({ requests, manner }) => converse(ground.port, requests, manner, lateMs)),
      )
      for (const [index, one] of conversations.entries()) weigh(one, heard[index]!)
    }
    const isTimeToClear = batches % 4 === 0 || verdict.requests >= wanted
    const wrong = [
      ...(await account(ground)),
      ...(await sendGood(ground, chance.fork(`good ${batches}`))),
      ...(isTimeToClear ? await clear(ground, 10) : []),
      ...ground.faults.splice(0).map((fault) => `a fault where nobody waited: ${fault}`),
    ]
    if (isTimeToClear) known.splice(0, known.length - 5)
    violate(...wrong.map((one) => `after request ${verdict.requests}: ${one}`))
    globalThis.gc?.()
    verdict.heap.push(process.memoryUsage().heapUsed / 1024 ** 2)
    tell(
      `${verdict.requests} requests, heap ${verdict.heap.at(-1)!.toFixed(0)} MiB, ${verdict.violations.length} violations`,
    )
  }
  for (const [what, times] of Object.entries(await fates(ground))) verdict.counts[what] = times
  await ground.close()
  return verdict

  function violate(...violations: string[]): void {
    verdict.violations.push(...violations)
    for (const violation of violations) tell(violation)
  }

  function weigh({ at, drafts, requests, manner }: Conversation, heard: Heard): void {
    verdict.slowestMs = Math.max(verdict.slowestMs, heard.ms)
    for (const { status } of heard.answers) count(String(status))
    if (heard.answers.length === 0) count(`none: ${manner.kind === 'whole' ? heard.end : manner.kind}`)
    for (const fault of judge(requests, manner, heard))
      violate(`seed ${seed}, request ${at}: ${fault}\n${show(requests, manner, heard)}`)
    for (const [index, answer] of heard.answers.entries())
      if (drafts[index]) learn(known, drafts[index], answer, ground)
  }
}

function plan(making: Making, at: number): Conversation {
  const { chance } = making
  const count = chance.pick([1, 1, 1, 1, 1, 1, 1, 2, 3])
  const drafts = Array.from({ length: count }, () => {
    const say = chance.pick([sayTus, sayTus, sayRufh, sayRufh, sayRest])
    return bend(say(making), chance)
  })
  const requests = drafts.map((draft, index) => frame(draft, chance, index === count - 1))
  const size = requests.reduce((bytes, { wire }) => bytes + wire.length, 0)
  return { at, drafts, requests, manner: mannerOf(chance, size) }
}

function mannerOf(chance: Seeded, size: number): Manner {
  const chunks = chance.chance(0.1) ? Math.max(1, Math.ceil(size / chance.int(2, 20))) : null
  const kind = chance.pick([
    'whole',
    'whole',
    'whole',
    'whole',
    'whole',
    'whole',
    'whole',
    'whole',
    'cut',
    'hushed',
  ] as const)
  return { kind, after: kind === 'hushed' && chance.chance(0.7) ? size : chance.int(1, size), pieces: chunks }
}

function show(requests: Framed[], manner: Manner, heard: Heard): string {
  const said = requests.map(({ wire }) => JSON.stringify(wire.subarray(0, 3000).toString('latin1')))
  const answers = heard.answers.map(({ status, headers, body }) =>
    JSON.stringify([status, headers, body.subarray(0, 500).toString('latin1')]),
  )
  return [
    ...said,
    `  ${JSON.stringify(manner)}`,
    ...answers.map((answer) => `  ${answer}`),
    `  ${heard.end} after ${heard.ms.toFixed(0)} ms`,
  ].join('\n')
}
