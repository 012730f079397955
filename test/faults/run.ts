/*
 * The long run: node test/faults/run.ts --store local|s3|ceph --uploads 500 --kills 1000 [--at-once 12] [--seed X]
 * Goes in rounds, each with a seed of its own; a round that breaks a promise prints its seed and ends the run with 1.
 */
import { parseArgs } from 'node:util'
import { startPostgres } from '../support/postgres.ts'
import { type Storm, weather } from './storm.ts'

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 's3' },
    uploads: { type: 'string', default: '500' },
    kills: { type: 'string', default: '1000' },
    'at-once': { type: 'string', default: '12' },
    seed: { type: 'string' },
    minutes: { type: 'string', default: '600' },
  },
})
const perRound = 50
const startedAt = Date.now()
const total = { kills: 0, completed: 0, restarts: 0, bytes: 0 }
const own = process.env.TEST_DATABASE_URL ? null : await startPostgres()
if (own) process.env.TEST_DATABASE_URL = own.url

const base = values.seed ?? String(startedAt)
for (let round = 0; total.kills < Number(values.kills) || total.completed < Number(values.uploads); round += 1) {
  if ((Date.now() - startedAt) / 60_000 > Number(values.minutes)) break
  const seed = values.seed?.includes('.') ? values.seed : `${base}.${round}`
  const storm: Storm = {
    seed,
    uploads: perRound,
    atOnce: Number(values['at-once']),
    kills: Number.POSITIVE_INFINITY,
    store: values.store as Storm['store'],
  }
  const report = await weather(storm)
  total.kills += report.kills
  total.completed += report.completed
  total.restarts += report.restarts
  total.bytes += report.bytes
  const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1)
  console.log(
    `seed ${seed}: ${report.violations.length} violations; so far ${total.kills} kills, ${total.completed} uploads, ${minutes} minutes`,
  )
  if (report.violations.length > 0) {
    console.error(report.violations.join('\n'))
    process.exitCode = 1
    break
  }
}
console.log(JSON.stringify({ store: values.store, seed: base, ...total, minutes: (Date.now() - startedAt) / 60_000 }))
await own?.stop()
process.exit()
