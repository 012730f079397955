/*
 * The benchmark: npm run bench -- --cases large,small-8 --rounds 3 --scale 0.1 --json figures.json --svg figures.svg
 *
 * Every case is asked of our server, of the usual stack (@tus/server with its S3 or file store on Fastify) and of the lower
 * bound (bodies piped to S3 or into a file), in turn and round after round, each time in fresh processes. Clients and S3 are
 * processes of their own. The CPU seconds of the server process are the figure to trust; on a machine that does other work
 * too, only ratios within one run mean something.
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
const end = plan.s3 ? realS3(plan.s3) : await startSink({ isTls: plan.cases.some((one) => one.isTls) })
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
  for (const one of plan.cases) {
    const kinds = plan.contestants.filter((kind) => kind !== 'peer' || !one.lacksPeer)
    const rounds: Partial<Record<ContestantKind, Figures[]>> = {}
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const kind of kinds) (rounds[kind] ??= []).push(await measureSurely(kind, one))
    }
    const medians = Object.fromEntries(kinds.map((kind) => [kind, medianOf(rounds[kind]!)]))
    const result: Result = { name: one.name, what: one.what, medians, rounds }
    results.push(result)
    console.log(`\n${tableOf(one, result)}`)
    // After every case: a run that is cut off has not been in vain.
    if (plan.json) writeFileSync(plan.json, `${JSON.stringify({ facts, results }, null, 1)}\n`)
  }
  if (plan.svg) writeFileSync(plan.svg, plotOf(results))
} finally {
  await end.close()
  await postgres?.stop()
}

/** On a machine that others use too, somebody may take a port between the moment it was free and the moment it is used. */
async function measureSurely(kind: ContestantKind, one: Case): Promise<Figures> {
  try {
    return await measure(kind, one, end, plan)
  } catch (error) {
    console.error(`${one.name}, ${kind}: once more, after: ${error}`)
    return measure(kind, one, end, plan)
  }
}
