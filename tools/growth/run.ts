/*
 * What the database does when it has grown: npm run growth -- --rows 10000000
 *
 * Fills a Postgres (of TEST_DATABASE_URL, or one of npm's binaries) with so many uploads, lets a server ask it everything it
 * ever asks, and prints how Postgres answers each statement. --json writes the whole plans as well.
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
const said = (what: string) => console.error(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${what}`)

const { plans, sizes } = await measureGrowth(fresh.url, Number(values.rows), said)
await fresh.dispose()
await postgres?.stop()

const thousands = new Intl.NumberFormat('en')
console.log('| table | rows | MiB | indexes, MiB |\n| --- | ---: | ---: | ---: |')
for (const { name, rows, bytes, indexBytes } of sizes.filter((each) => each.rows > 1000))
  console.log(`| ${name} | ${thousands.format(rows)} | ${mebibytes(bytes)} | ${mebibytes(indexBytes)} |`)
console.log('\n| statement | ms | pages of 8 KiB | by |\n| --- | ---: | ---: | --- |')
for (const { name, ms, pages, scanned, indexes } of plans.toSorted((a, b) => b.ms - a.ms))
  console.log(
    `| ${name} | ${ms.toFixed(2)} | ${pages} | ${[...scanned.map((table) => `**all of ${table}**`), ...indexes].join(', ') || '–'} |`,
  )
const asked = new Set(plans.map(({ name }) => name))
console.log(
  `\nnot asked: ${
    namesInSource()
      .filter((name) => !asked.has(name))
      .join(', ') || 'none'
  }`,
)
if (values.json) writeFileSync(values.json, JSON.stringify({ plans, sizes }, null, 1))

function mebibytes(bytes: number): string {
  return thousands.format(Math.round(bytes / 1024 ** 2))
}
