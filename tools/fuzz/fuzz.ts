/*
 * Sends requests that are valid, nearly valid or malformed, in all protocols, over connections that misbehave. Each must be answered soon,
 * as its protocol defines, and never with a server error. Between batches no lease, part lock or orphaned object may remain, and a valid
 * file must arrive.
 */
import { type Seeded, seeded } from '../../test/support/seeded.ts'
import type { StoreKind } from '../../test/support/store-kinds.ts'
import { checkAnswers, learn } from './check-answers.ts'
import { cancelAll, checkState, countEnds } from './check-state.ts'
import { openEnvironment } from './environment.ts'
import { type FramedRequest, frame } from './frame.ts'
import { mutate } from './mutate.ts'
import type { Context, KnownUpload, RequestSpec } from './request.ts'
import { restRequest } from './rest-requests.ts'
import { rufhRequest } from './rufh-requests.ts'
import { tusRequest } from './tus-requests.ts'
import { sendValidFiles } from './valid-files.ts'
import { type Behavior, exchange, type Outcome } from './wire.ts'

export interface Fuzz {
  seed: string
  requests: number
  store: StoreKind
  /** Requests between two checks of the server's state. */
  batch?: number
  /** Stops after this many violations. */
  maxViolations?: number
  log?: (line: string) => void
}

export interface FuzzResult {
  requests: number
  violations: string[]
  /** How often each status was answered, or how a connection ended without one; and how many uploads came to each end. */
  counts: Record<string, number>
  slowestMs: number
  /** MiB of the heap after each batch, after a garbage collection. */
  heap: number[]
}

interface Conversation {
  /** The number of its first request. */
  at: number
  specs: RequestSpec[]
  requests: FramedRequest[]
  behavior: Behavior
}

const atOnce = 8
const lateMs = 30_000

/** Runs the fuzzer once. */
export async function runFuzz({
  seed,
  requests: wanted,
  store,
  batch = 300,
  maxViolations = 10,
  log = () => {},
}: Fuzz): Promise<FuzzResult> {
  const environment = await openEnvironment(store)
  const random = seeded(`fuzz/${seed}`)
  const known: KnownUpload[] = []
  const result: FuzzResult = { requests: 0, violations: [], counts: {}, slowestMs: 0, heap: [] }
  const count = (what: string) => {
    result.counts[what] = (result.counts[what] ?? 0) + 1
  }
  const context: Context = { random, known, part: environment.part, tokens: environment.tokens }

  for (let batches = 1; result.requests < wanted && result.violations.length < maxViolations; batches += 1) {
    const end = Math.min(wanted, result.requests + batch)
    while (result.requests < end) {
      // All requests are made before the first is sent: they depend on the seed, not on the order of the answers.
      const conversations = Array.from({ length: atOnce }, () => {
        const conversation = plan(context, result.requests)
        result.requests += conversation.requests.length
        return conversation
      })
      const outcomes = await Promise.all(
        conversations.map(({ requests, behavior }) => exchange(environment.port, requests, behavior, lateMs)),
      )
      for (const [index, conversation] of conversations.entries()) record(conversation, outcomes[index]!)
    }
    const isCleanupDue = batches % 4 === 0 || result.requests >= wanted
    const problems = [
      ...(await checkState(environment)),
      ...(await sendValidFiles(environment, random.fork(`good ${batches}`))),
      ...(isCleanupDue ? await cancelAll(environment, 10) : []),
      ...environment.faults.splice(0).map((error) => `an error outside a request: ${error}`),
    ]
    if (isCleanupDue) known.splice(0, known.length - 5)
    report(...problems.map((problem) => `after request ${result.requests}: ${problem}`))
    globalThis.gc?.()
    result.heap.push(process.memoryUsage().heapUsed / 1024 ** 2)
    log(
      `${result.requests} requests, heap ${result.heap.at(-1)!.toFixed(0)} MiB, ${result.violations.length} violations`,
    )
  }
  for (const [what, times] of Object.entries(await countEnds(environment))) result.counts[what] = times
  await environment.close()
  return result

  function report(...violations: string[]): void {
    result.violations.push(...violations)
    for (const violation of violations) log(violation)
  }

  function record({ at, specs, requests, behavior }: Conversation, outcome: Outcome): void {
    result.slowestMs = Math.max(result.slowestMs, outcome.ms)
    for (const { status } of outcome.answers) count(String(status))
    if (outcome.answers.length === 0) count(`none: ${behavior.kind === 'complete' ? outcome.end : behavior.kind}`)
    for (const problem of checkAnswers(requests, behavior, outcome))
      report(`seed ${seed}, request ${at}: ${problem}\n${show(requests, behavior, outcome)}`)
    for (const [index, answer] of outcome.answers.entries())
      if (specs[index]) learn(known, specs[index], answer, environment)
  }
}

function plan(context: Context, at: number): Conversation {
  const { random } = context
  const count = random.pick([1, 1, 1, 1, 1, 1, 1, 2, 3])
  const specs = Array.from({ length: count }, () => {
    const makeRequest = random.pick([tusRequest, tusRequest, rufhRequest, rufhRequest, restRequest])
    return mutate(makeRequest(context), random)
  })
  const requests = specs.map((spec, index) => frame(spec, random, index === count - 1))
  const size = requests.reduce((bytes, { wire }) => bytes + wire.length, 0)
  return { at, specs, requests, behavior: behaviorOf(random, size) }
}

function behaviorOf(random: Seeded, size: number): Behavior {
  const writeSize = random.chance(0.1) ? Math.max(1, Math.ceil(size / random.int(2, 20))) : null
  const kind = random.pick([
    'complete',
    'complete',
    'complete',
    'complete',
    'complete',
    'complete',
    'complete',
    'complete',
    'cut',
    'half-closed',
  ] as const)
  return { kind, after: kind === 'half-closed' && random.chance(0.7) ? size : random.int(1, size), writeSize }
}

function show(requests: FramedRequest[], behavior: Behavior, outcome: Outcome): string {
  const sent = requests.map(({ wire }) => JSON.stringify(wire.subarray(0, 3000).toString('latin1')))
  const answers = outcome.answers.map(({ status, headers, body }) =>
    JSON.stringify([status, headers, body.subarray(0, 500).toString('latin1')]),
  )
  return [
    ...sent,
    `  ${JSON.stringify(behavior)}`,
    ...answers.map((answer) => `  ${answer}`),
    `  ${outcome.end} after ${outcome.ms.toFixed(0)} ms`,
  ].join('\n')
}
