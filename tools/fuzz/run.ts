/*
 * The fuzz: npm run fuzz -- --seed X --requests 50000 --store local|memory|s3
 *
 * Over the real servers of TEST_DATABASE_URL and TEST_S3_ENDPOINT where there are some, else over a Postgres from npm and a stand-in. The same
 * seed says the same things again. A violation is printed with the number and the bytes of its request.
 */
import { parseArgs } from 'node:util'
import { startPostgres } from '../../test/support/postgres.ts'
import { everyKind } from '../../test/support/store-kinds.ts'
import { liveFuzz } from './live.ts'

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

const verdict = await liveFuzz({ seed: values.seed, requests, store, tell: (line) => console.log(line) }).catch(
  (error) => {
    console.log('the run broke off:', error)
    return process.exit(1)
  },
)

for (const crash of crashes) console.log('a fault that would have ended the server:', crash)
console.log(JSON.stringify(verdict.counts, null, 1))
const minutes = (performance.now() - startedAt) / 60_000
const { heap, slowestMs } = verdict
console.log(
  `${store}, seed ${values.seed}: ${verdict.requests} requests, ${minutes.toFixed(1)} minutes, slowest ${slowestMs.toFixed(0)} ms, ` +
    `heap ${heap[0]?.toFixed(0)} to ${heap.at(-1)?.toFixed(0)} MiB, ${verdict.violations.length + crashes.length} violations`,
)
process.exit(verdict.violations.length + crashes.length === 0 ? 0 : 1)
