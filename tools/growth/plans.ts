import pg from 'pg'
import type { Asked } from './statements.ts'

export interface Plan {
  name: string
  /** Milliseconds until the answer was here: the slowest of three runs after a first one. */
  ms: number
  /** Pages of 8 KiB that it looked at. */
  pages: number
  /** Tables that were read from one end to the other. */
  scanned: string[]
  /** Indexes that were used. */
  indexes: string[]
  text: unknown
}

interface Node {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  Plans?: Node[]
}

/**
 * How Postgres runs a statement that the server sends again and again: with the plan it keeps for all values. Whatever the
 * statement writes is taken back.
 */
export async function plansOf(url: string, asked: Iterable<Asked>): Promise<Plan[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  let plan: Node | null = null
  client.on('notice', ({ message = '' }) => {
    const [, text] = /^duration: [\d.]+ ms\s+plan:\s+(.*)$/s.exec(message) ?? []
    if (text) plan = (JSON.parse(text) as { Plan: Node }).Plan
  })
  await client.query(`load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
    set auto_explain.log_buffers = on; set auto_explain.log_timing = off; set auto_explain.log_format = json;
    set client_min_messages = log; set plan_cache_mode = force_generic_plan`)
  const plans: Plan[] = []
  try {
    for (const { name, text, values } of asked) {
      const durations: number[] = []
      for (let run = 0; run < 4; run += 1) {
        await client.query('begin')
        plan = null
        const startedAt = performance.now()
        await client.query({ name, text, values })
        durations.push(performance.now() - startedAt)
        await client.query('rollback')
      }
      const nodes = flat(answered(plan, name))
      plans.push({
        name,
        ms: Math.max(...durations.slice(1)),
        pages: (nodes[0]!['Shared Hit Blocks'] ?? 0) + (nodes[0]!['Shared Read Blocks'] ?? 0),
        scanned: nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']!),
        indexes: [...new Set(nodes.flatMap((node) => node['Index Name'] ?? []))],
        text: nodes[0],
      })
    }
  } finally {
    await client.end()
  }
  return plans
}

function answered(plan: Node | null, name: string): Node {
  if (plan === null) throw new Error(`Postgres did not say how it runs ${name}`)
  return plan
}

function flat(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(flat)]
}
