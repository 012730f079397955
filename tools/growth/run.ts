/*
 * Measures statements on a large database: npm run growth -- --rows 10000000
 *
 * Fills a Postgres (of TEST_DATABASE_URL, or one from npm) with this many uploads, sends every statement that a server sends, and prints
 * the cost and plan of each. --json writes the whole plans.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { freshDatabase, startPostgres } from '../../test/support/postgres.ts'
import { measureGrowth } from './measure.ts'
import { namesInSource } from './statements.ts'

const { values } = parseArgs({ options: { rows: { type: 'string', default: '1000000' }, json: { type: 'string' } } })
const postgres = process.env.TEST_DATABASE_URL ? null : await startPostgres()
if (postgres) process.env.TEST_DATABASE_URL = postgres.url
const fresh = await freshDatabase()
const startedAt = performance.now()
const log = (text: string) => console.error(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${text}`)

const { plans, sizes } = await measureGrowth(fresh.url, Number(values.rows), log)
await fresh.dispose()
await postgres?.stop()

const thousands = new Intl.NumberFormat('en')
console.log('| table | rows | MiB | indexes, MiB |\n| --- | ---: | ---: | ---: |')
for (const { name, rows, bytes, indexBytes } of sizes.filter((size) => size.rows > 1000))
  console.log(`| ${name} | ${thousands.format(rows)} | ${mebibytes(bytes)} | ${mebibytes(indexBytes)} |`)
console.log('\n| statement | ms | pages of 8 KiB | plan |\n| --- | ---: | ---: | --- |')
for (const { name, ms, pages, scanned, indexes } of plans.toSorted((a, b) => b.ms - a.ms))
  console.log(
    `| ${name} | ${ms.toFixed(2)} | ${pages} | ${[...scanned.map((table) => `**all of ${table}**`), ...indexes].join(', ') || '–'} |`,
  )
const sent = new Set(plans.map(({ name }) => name))
console.log(
  `\nnot sent: ${
    namesInSource()
      .filter((name) => !sent.has(name))
      .join(', ') || 'none'
  }`,
)
if (values.json) writeFileSync(values.json, JSON.stringify({ plans, sizes }, null, 1))

function mebibytes(bytes: number): string {
  return thousands.format(Math.round(bytes / 1024 ** 2))
}
