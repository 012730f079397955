/*
 * The fault bench: npm run faults -- --seed X --kills 1000 --uploads 500 --store local|s3|ceph
 *
 * In every round, real servers are killed and their connections to the database and the store are broken while clients upload. Then the
 * store and the database are compared with what the clients were answered. A round with a violation prints the command that repeats it:
 * the same files, clients and faults, at the same moments as far as processes can be timed.
 */
import { startPostgres } from '../../test/support/postgres.ts'
import { readPlan } from './driver/plan.ts'
import { runRound } from './driver/round.ts'

const plan = readPlan(process.argv.slice(2))
const postgres = process.env.TEST_DATABASE_URL ? null : await startPostgres()
if (postgres) process.env.TEST_DATABASE_URL = postgres.url
const startedAt = performance.now()
const total = { kills: 0, uploads: 0, violations: 0 }
const counts: Record<string, number> = {}
const minutes = () => (performance.now() - startedAt) / 60_000

for (let round = plan.round ?? 0; ; round += 1) {
  const seed = `${plan.seed}.${round}`
  const result = await runRound({
    seed,
    store: plan.store,
    nodes: plan.nodes,
    uploads: plan.perRound,
    lifeMs: plan.life,
  })
  total.kills += result.kills
  total.uploads += result.uploads
  total.violations += result.violations.length
  for (const [what, times] of Object.entries(result.counts)) counts[what] = (counts[what] ?? 0) + times
  console.log(
    `round ${seed}: ${result.kills} kills, ${result.uploads} uploads, ${result.seconds.toFixed(0)} s, ${result.violations.length} violations`,
  )
  for (const violation of result.violations) console.log(`  ${violation}`)
  if (result.violations.length > 0) console.log(`  repeat: npm run faults -- ${argumentsOf(round)}`)
  const isEnough = total.kills >= plan.kills && total.uploads >= plan.uploads
  if (plan.round !== null || isEnough || minutes() > plan.minutes) break
}
await postgres?.stop()
console.log(JSON.stringify(counts, null, 1))
console.log(
  `${plan.store}, seed ${plan.seed}: ${total.kills} kills, ${total.uploads} uploads, ${minutes().toFixed(1)} minutes, ${total.violations} violations`,
)
process.exit(total.violations === 0 ? 0 : 1)

function argumentsOf(round: number): string {
  const { seed, store, nodes, perRound, life } = plan
  return `--seed ${seed} --round ${round} --store ${store} --nodes ${nodes} --per-round ${perRound} --life ${life}`
}
