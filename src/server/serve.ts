import cluster from 'node:cluster'
import type { Config } from '../config.ts'
import { readConfig } from './environment.ts'
import { explain } from './explain.ts'
import type { Serving } from './serving.ts'

/**
 * Reads the environment and serves until a signal, in this process or, with WORKERS above 1, in as many processes that this one starts; exits
 * with 1 on failure. Resolves when the server, or the first of its workers, answers requests.
 */
export async function serve(): Promise<Serving> {
  // A worker runs the same program; its modules are loaded only where they are needed.
  if (cluster.isWorker) return (await import('./workers/worker.ts')).runWorker()
  let config: Config
  try {
    config = readConfig()
  } catch (thrown) {
    console.error(explain(thrown))
    process.exit(1)
  }
  if (config.WORKERS > 1) return (await import('./workers/primary.ts')).runPrimary(config)
  const { runServer } = await import('./run-server.ts')
  return runServer(config, { isBannerWanted: true, fail })
}

async function fail(thrown: unknown): Promise<never> {
  console.error(explain(thrown))
  process.exit(1)
}
