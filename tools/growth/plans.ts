import pg from 'pg'
import type { SentStatement } from './statements.ts'

export interface Plan {
  name: string
  /** Milliseconds until the answer: the slowest of three runs after a first one. */
  ms: number
  /** Pages of 8 KiB that were read. */
  pages: number
  /** Tables with a sequential scan. */
  /** Rows that it returns. */
  rows: number
  scanned: string[]
  /** Indexes that were used. */
  indexes: string[]
  text: unknown
}

interface Node {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows'?: number
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  Plans?: Node[]
}

/**
 * The plan of each statement, as the server sends it: prepared, with the generic plan that Postgres uses for all values. Writes are rolled
 * back.
 */
export async function plansOf(url: string, sent: Iterable<SentStatement>): Promise<Plan[]> {
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
    for (const { name, text, values } of sent) {
      const durations: number[] = []
      for (let run = 0; run < 4; run += 1) {
        await client.query('begin')
        plan = null
        const startedAt = performance.now()
        await client.query({ name, text, values })
        durations.push(performance.now() - startedAt)
        await client.query('rollback')
      }
      const nodes = flat(assertPlan(plan, name))
      plans.push({
        name,
        ms: Math.max(...durations.slice(1)),
        pages: (nodes[0]!['Shared Hit Blocks'] ?? 0) + (nodes[0]!['Shared Read Blocks'] ?? 0),
        rows: nodes[0]!['Actual Rows'] ?? 0,
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

function assertPlan(plan: Node | null, name: string): Node {
  if (plan === null) throw new Error(`Postgres logged no plan for ${name}`)
  return plan
}

function flat(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(flat)]
}
