import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildUnlessFresh, isProduct, type Product } from './built.ts'
import { command, databaseUrl, type Postgres, startPostgres } from './postgres.ts'

/**
 * The resources that all test files of a vitest run share, each created on the first request: one Postgres, the migrated template from
 * which test databases are copied, and the builds. Test files run in processes of their own, so they request them over HTTP: `/` returns
 * the cluster, `/template` also the name of the template, and `/built/server` returns when the server is built.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const { TEST_DATABASE_URL } = process.env
  let started: Promise<Postgres> | undefined
  let template: Promise<string> | undefined
  const builds = new Map<Product, Promise<void>>()
  const clusterUrl = async () => TEST_DATABASE_URL ?? (await (started ??= startPostgres())).url

  async function answer(path: string): Promise<Record<string, string>> {
    const product = path.replace('/built/', '')
    if (isProduct(product)) {
      const build = builds.get(product) ?? buildUnlessFresh(product)
      builds.set(product, build)
      await build
      return {}
    }
    const cluster = await clusterUrl()
    if (path !== '/template') return { cluster }
    template ??= makeTemplate(cluster)
    return { cluster, template: await template }
  }

  const broker = createServer((request, response) => {
    answer(request.url ?? '/').then(
      (found) => response.end(JSON.stringify(found)),
      (reason: unknown) => response.writeHead(500).end(String(reason)),
    )
  })
  broker.listen(0, '127.0.0.1').unref()
  await new Promise((resolve) => broker.once('listening', resolve))
  process.env.TEST_BROKER = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`
  return async () => {
    broker.close()
    broker.closeAllConnections()
    const name = await template?.catch(() => undefined)
    if (name && TEST_DATABASE_URL) await command(TEST_DATABASE_URL, `drop database if exists ${name} with (force)`)
    await started?.then(
      (cluster) => cluster.stop(),
      () => {},
    )
  }
}

async function makeTemplate(cluster: string): Promise<string> {
  const name = `template_${randomBytes(8).toString('hex')}`
  await command(cluster, `create database ${name}`)
  const url = databaseUrl(cluster, name)
  const { openDatabase } = await import('../../src/db/open.ts')
  const { openQueue } = await import('../../src/jobs/queue.ts')
  const onError = (error: unknown) => console.error(error)
  const database = await openDatabase({ url, dataDir: '', pool: 1, timeoutMs: 30_000, onError })
  try {
    await database.migrate()
    // pg-boss creates a schema of its own; without it in the template every server would create it again.
    const queue = await openQueue({ database, onError, takeOverAfter: 60 })
    await queue.close()
  } finally {
    // Postgres copies a database only while it has no connection.
    await database.close()
  }
  return name
}
