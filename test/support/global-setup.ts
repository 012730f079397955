import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Postgres, startPostgres } from './postgres.ts'
import { bundleServer } from './server-bundle.ts'

/**
 * The server in a form that starts quickly, and one Postgres for a whole run of vitest, started when the first test asks and not before: runs that need no database
 * do not wait for one. Test files run in processes of their own, so they ask over HTTP.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await bundleServer()
  if (process.env.TEST_DATABASE_URL) return async () => {}
  let cluster: Promise<Postgres> | undefined
  const broker = createServer((_, response) => {
    cluster ??= startPostgres()
    cluster.then(
      ({ url }) => response.end(url),
      (reason: unknown) => response.writeHead(500).end(String(reason)),
    )
  })
  broker.listen(0, '127.0.0.1').unref()
  await new Promise((resolve) => broker.once('listening', resolve))
  process.env.TEST_DATABASE_BROKER = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`
  return async () => {
    broker.close()
    broker.closeAllConnections()
    await cluster?.then(
      (running) => running.stop(),
      () => {},
    )
  }
}
