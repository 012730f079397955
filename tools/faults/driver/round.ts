import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../../../test/support/seeded.ts'
import { sendFile } from './client.ts'
import { type Environment, openEnvironment } from './environment.ts'
import { startFaults } from './fault-injector.ts'
import { startKiller } from './killer.ts'
import { type Model, openModel } from './model.ts'
import type { StoreKind } from './plan.ts'
import { sendWithTusJsClient } from './published.ts'
import { checkResult } from './result.ts'
import { settleAll } from './settle.ts'

export interface RoundPlan {
  seed: string
  store: StoreKind
  nodes: number
  uploads: number
  /** Uploads that run at the same time. */
  atOnce?: number
  /** Milliseconds from a start of a server to its next kill, on average; 1 s if not given. */
  lifeMs?: number
  /** When the faults end at the latest; they end earlier with the last upload. */
  withinMs?: number
}

export interface RoundResult {
  kills: number
  uploads: number
  seconds: number
  violations: string[]
  counts: Record<string, number>
}

const MiB = 1024 ** 2
const afterFaultsMs = 90_000

/** Runs one round: uploads under faults and kills; then the faults end, the uploads complete, and the result is checked. */
export async function runRound(plan: RoundPlan): Promise<RoundResult> {
  const random = seeded(plan.seed)
  const model = openModel(plan.seed)
  const startedAt = performance.now()
  const environment = await openEnvironment({
    kind: plan.store,
    nodes: plan.nodes,
    name: `faults-${plan.seed.replaceAll(/\W/g, '-')}`,
    memoryBudget: random.pick(['64MiB', '256MiB']),
  })
  try {
    const injector = startFaults(environment, random.fork('faults'))
    const killer = startKiller(environment, model, random.fork('killer'), plan.lifeMs ?? 1000)
    let deadline = Number.POSITIVE_INFINITY
    const uploading = sendAll(plan, environment, model, () => deadline)
    await Promise.race([uploading, sleep(plan.withinMs ?? 600_000, undefined, { ref: false })])
    await injector.end()
    await killer.end()
    deadline = performance.now() + afterFaultsMs
    await uploading
    await stopAll(environment, model)
    await settleAll(environment, model)
    await checkResult(environment, model)
    return {
      kills: killer.kills(),
      uploads: plan.uploads,
      seconds: (performance.now() - startedAt) / 1000,
      violations: model.violations,
      counts: model.counts,
    }
  } finally {
    await environment.close()
  }
}

async function sendAll(plan: RoundPlan, environment: Environment, model: Model, deadline: () => number): Promise<void> {
  const waiting = Array.from({ length: plan.uploads }, (_, index) => index)
  async function work(): Promise<void> {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const random = seeded(`${plan.seed}/upload ${index}`)
      const name = `u${index}`
      model.file(name, sizeOf(plan.store, random))
      const client = { environment, model, random, deadline }
      await (random.chance(0.2) ? sendWithTusJsClient(client, name) : sendFile(client, name))
    }
  }
  await Promise.all(Array.from({ length: plan.atOnce ?? 8 }, work))
}

/** Many small files, and some of every size up to six parts. */
function sizeOf(store: StoreKind, random: ReturnType<typeof seeded>): number {
  const part = store === 'local' ? 256 * 1024 : 5 * MiB
  const kind = random.next()
  if (kind < 0.05) return random.int(0, 2)
  if (kind < 0.35) return random.int(1, part - 1)
  if (kind < 0.5) return part * random.int(1, 4) + random.int(-1, 1)
  return random.int(1, part * 6)
}

async function stopAll({ nodes }: Environment, model: Model): Promise<void> {
  const codes = await Promise.all(nodes.map((node) => node.stop()))
  for (const [index, code] of codes.entries()) {
    if (code !== 0) model.report(`a server ended with ${code}: ${nodes[index]!.log().slice(-1500)}`)
  }
}
