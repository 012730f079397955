/*
 * The fuzzer: npm run fuzz -- --seed X --requests 50000 --store local|memory|s3
 *
 * Uses the servers of TEST_DATABASE_URL and TEST_S3_ENDPOINT if they are set, otherwise a Postgres from npm and an S3 stand-in. The same
 * seed sends the same requests. A violation is printed with the number and the bytes of its request.
 */
import { parseArgs } from 'node:util'
import { startPostgres } from '../../test/support/postgres.ts'
import { everyKind } from '../../test/support/store-kinds.ts'
import { runFuzz } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now()) },
    requests: { type: 'string', default: '50000' },
    store: { type: 'string', default: 'local' },
  },
})
const store = everyKind.find((kind) => kind === values.store)
const requests = Number(values.requests)
if (!store || !Number.isSafeInteger(requests))
  throw new Error(`--store is one of ${everyKind.join(', ')}; --requests is a number`)
console.log(`seed ${values.seed}`)
if (!process.env.TEST_DATABASE_URL) process.env.TEST_DATABASE_URL = (await startPostgres()).url
const crashes: unknown[] = []
process.on('uncaughtException', (error) => crashes.push(error))
process.on('unhandledRejection', (reason) => crashes.push(reason))
const startedAt = performance.now()

const result = await runFuzz({ seed: values.seed, requests, store, log: (line) => console.log(line) }).catch(
  (error) => {
    console.log('the run failed:', error)
    return process.exit(1)
  },
)

for (const crash of crashes) console.log('an uncaught error:', crash)
console.log(JSON.stringify(result.counts, null, 1))
const minutes = (performance.now() - startedAt) / 60_000
const { heap, slowestMs } = result
console.log(
  `${store}, seed ${values.seed}: ${result.requests} requests, ${minutes.toFixed(1)} minutes, slowest ${slowestMs.toFixed(0)} ms, ` +
    `heap ${heap[0]?.toFixed(0)} to ${heap.at(-1)?.toFixed(0)} MiB, ${result.violations.length + crashes.length} violations`,
)
process.exit(result.violations.length + crashes.length === 0 ? 0 : 1)
