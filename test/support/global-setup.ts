import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openDatabase } from '../../src/db/open.ts'
import { command, databaseUrl, type Postgres, startPostgres } from './postgres.ts'
import { bundleServer } from './server-bundle.ts'

/**
 * The server in a form that starts quickly, and one Postgres for a whole run of vitest. The cluster, and the migrated template that
 * test databases are copied from, are made when the first test asks for them. Test files run in processes of their own, so they ask
 * over HTTP: `/` answers the cluster, `/template` also the name of the template.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await bundleServer()
  const { TEST_DATABASE_URL: given } = process.env
  let started: Promise<Postgres> | undefined
  let template: Promise<string> | undefined
  const clusterUrl = async () => given ?? (await (started ??= startPostgres())).url

  async function answer(path: string): Promise<{ cluster: string; template?: string }> {
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
  process.env.TEST_DATABASE_BROKER = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`
  return async () => {
    broker.close()
    broker.closeAllConnections()
    const name = await template?.catch(() => undefined)
    if (name && given) await command(given, `drop database if exists ${name} with (force)`)
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
  const database = await openDatabase({ url, dataDir: '', pool: 1, patienceMs: 30_000, onFault: console.error })
  try {
    await database.migrate()
  } finally {
    // Postgres copies a database only while it has no connection.
    await database.close()
  }
  return name
}
