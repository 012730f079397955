import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../../../test/support/seeded.ts'
import { settle } from './aftermath.ts'
import { sendFile } from './client.ts'
import { type Ground, openGround } from './ground.ts'
import { type Ledger, openLedger } from './ledger.ts'
import type { StoreKind } from './plan.ts'
import { sendPublished } from './published.ts'
import { startReaper } from './reaper.ts'
import { startStorm } from './storm.ts'
import { judgeRound } from './verdict.ts'

export interface RoundPlan {
  seed: string
  store: StoreKind
  nodes: number
  uploads: number
  /** Uploads that run at the same time. */
  atOnce?: number
  /** How long a server lives on average; 1 s unless told. */
  lifeMs?: number
  /** When the storm ends at the latest; before, it ends with the last upload. */
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
const afterStormMs = 90_000

/** Lives through one round: uploads in a storm among servers that are killed; then fair weather, and the judgement. */
export async function liveRound(plan: RoundPlan): Promise<RoundResult> {
  const chance = seeded(plan.seed)
  const ledger = openLedger(plan.seed)
  const startedAt = performance.now()
  const ground = await openGround({
    kind: plan.store,
    nodes: plan.nodes,
    name: `faults-${plan.seed.replaceAll(/\W/g, '-')}`,
    memoryBudget: chance.pick(['64MiB', '256MiB']),
  })
  try {
    const storm = startStorm(ground, chance.fork('storm'))
    const reaper = startReaper(ground, ledger, chance.fork('reaper'), plan.lifeMs ?? 1000)
    let deadline = Number.POSITIVE_INFINITY
    const uploading = sendAll(plan, ground, ledger, () => deadline)
    await Promise.race([uploading, sleep(plan.withinMs ?? 600_000, undefined, { ref: false })])
    await storm.end()
    await reaper.end()
    deadline = performance.now() + afterStormMs
    await uploading
    await stopAll(ground, ledger)
    await settle(ground, ledger)
    await judgeRound(ground, ledger)
    return {
      kills: reaper.kills(),
      uploads: plan.uploads,
      seconds: (performance.now() - startedAt) / 1000,
      violations: ledger.violations,
      counts: ledger.counts,
    }
  } finally {
    await ground.close()
  }
}

async function sendAll(plan: RoundPlan, ground: Ground, ledger: Ledger, deadline: () => number): Promise<void> {
  const waiting = Array.from({ length: plan.uploads }, (_, index) => index)
  async function work(): Promise<void> {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const chance = seeded(`${plan.seed}/upload ${index}`)
      const name = `u${index}`
      ledger.file(name, sizeOf(plan.store, chance))
      const client = { ground, ledger, chance, deadline }
      await (chance.chance(0.2) ? sendPublished(client, name) : sendFile(client, name))
    }
  }
  await Promise.all(Array.from({ length: plan.atOnce ?? 8 }, work))
}

/** Many small files, some of every size up to six parts. */
function sizeOf(store: StoreKind, chance: ReturnType<typeof seeded>): number {
  const part = store === 'local' ? 256 * 1024 : 5 * MiB
  const kind = chance.next()
  if (kind < 0.05) return chance.int(0, 2)
  if (kind < 0.35) return chance.int(1, part - 1)
  if (kind < 0.5) return part * chance.int(1, 4) + chance.int(-1, 1)
  return chance.int(1, part * 6)
}

async function stopAll({ nodes }: Ground, ledger: Ledger): Promise<void> {
  const codes = await Promise.all(nodes.map((node) => node.stop()))
  for (const [index, code] of codes.entries()) {
    if (code !== 0) ledger.complain(`a server ended with ${code}: ${nodes[index]!.log().slice(-1500)}`)
  }
}
