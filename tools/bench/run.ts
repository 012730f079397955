/*
 * The benchmark: npm run bench -- --cases large,small-8 --rounds 3 --scale 0.1 --json figures.json --svg figures.svg
 *
 * Every case is measured on Landfall, on the usual stack (@tus/server with its S3 or file store on Fastify) and on the lower bound (bodies
 * piped to S3 or into a file), interleaved, each time in new processes. Clients and S3 have their own processes. The CPU seconds of the
 * server process are the most reliable figure; on a busy machine, compare only ratios within one run.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { startPostgres } from '../../test/support/postgres.ts'
import type { Case } from './cases.ts'
import { ourEntry } from './contestants.ts'
import { type Figures, measure } from './measure.ts'
import { type ContestantKind, readPlan } from './plan.ts'
import { plotOf } from './plot.ts'
import { medianOf, type Result, tableOf } from './print.ts'
import { realS3, startSink } from './s3-end.ts'

const plan = readPlan(process.argv.slice(2))
const postgres = process.env.TEST_DATABASE_URL ? null : await startPostgres()
if (postgres) process.env.TEST_DATABASE_URL = postgres.url
const end = plan.s3 ? realS3(plan.s3) : await startSink({ isTls: plan.cases.some(({ isTls }) => isTls) })
const facts = {
  date: new Date().toISOString(),
  node: plan.node ?? process.version,
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  server: ourEntry().endsWith('.js') ? 'built' : 'source, types stripped by Node',
  database: 'Postgres, not counted in the server’s CPU',
  s3: plan.s3 ? 'a real server' : 'a sink that throws bytes away',
  rounds: plan.rounds,
  scale: plan.scale,
}
console.log(
  Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n'),
)

const results: Result[] = []
try {
  for (const testCase of plan.cases) {
    const kinds = plan.contestants.filter((kind) => kind !== 'peer' || !testCase.lacksPeer)
    const rounds: Partial<Record<ContestantKind, Figures[]>> = {}
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const kind of kinds) (rounds[kind] ??= []).push(await measureWithRetry(kind, testCase))
    }
    const medians = Object.fromEntries(kinds.map((kind) => [kind, medianOf(rounds[kind]!)]))
    const result: Result = { name: testCase.name, what: testCase.what, medians, rounds }
    results.push(result)
    console.log(`\n${tableOf(testCase, result)}`)
    // Written after every case, so that an interrupted run keeps its results.
    if (plan.json) writeFileSync(plan.json, `${JSON.stringify({ facts, results }, null, 1)}\n`)
  }
  if (plan.svg) writeFileSync(plan.svg, plotOf(results))
} finally {
  await end.close()
  await postgres?.stop()
}

/** Retries once: another process may take the free port before the server does. */
async function measureWithRetry(kind: ContestantKind, testCase: Case): Promise<Figures> {
  try {
    return await measure(kind, testCase, end, plan)
  } catch (error) {
    console.error(`${testCase.name}, ${kind}: retried after: ${error}`)
    return measure(kind, testCase, end, plan)
  }
}
