import { type App, buildApp } from './app.ts'
import { banner } from './banner.ts'
import { ConfigError } from './config.ts'
import { reasonOf } from './db/errors.ts'
import { readConfig } from './environment.ts'
import { requestsInFlight } from './http/connection/closing.ts'

// When thousands come back at once after an outage, those that Node's 511 do not hold are cut off without a word.
const backlog = 4096

/**
 * Reads the environment, opens everything, listens, and stays until a signal; ends the process with 1 when it cannot. Resolves when
 * requests are answered, and `working` when the work in the background has begun too.
 */
export async function serve(): Promise<Pick<App, 'working'>> {
  try {
    const config = readConfig()
    const app = await buildApp(config)
    stopOnSignal(app, config.DRAIN_TIMEOUT)
    logUnhandled(app)
    await app.http.listen({ host: config.HOST, port: config.PORT, backlog })
    if (config.METRICS_PORT !== undefined)
      await app.metricsHttp?.listen({ host: config.HOST, port: config.METRICS_PORT })
    if (config.isDevelopment) console.log(await banner(config, app.http.listeningOrigin))
    return { working: app.working.catch(giveUp) }
  } catch (thrown) {
    return giveUp(thrown)
  }
}

function giveUp(thrown: unknown): never {
  console.error(explain(thrown))
  process.exit(1)
}

/** One line for what an operator can mend, the whole trace for what only a developer can. */
export function explain(thrown: unknown): string {
  if (thrown instanceof ConfigError) return `landfall: ${thrown.message}`
  const { code, message, stack, port } = thrown as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `landfall: port ${port} is in use; PORT and METRICS_PORT choose others`
  if (code === 'DATABASE_ERROR') return `landfall: the database cannot be reached (${reasonOf(thrown)})`
  if (code !== undefined) return `landfall: ${message}`
  return `landfall: ${stack ?? String(thrown)}`
}

/** A promise that failed and that nobody waits for, ours or of the operator's code, is told of; all uploads that run would pay for it. */
function logUnhandled({ http }: App): void {
  process.on('unhandledRejection', (reason) => http.log.error({ err: reason }, 'unhandled rejection'))
}

/**
 * The first signal lets running requests save what they have and ends with 0; another one ends at once. A Ctrl-C often
 * comes twice, from the terminal and from npm, so what follows within a second counts as the same.
 */
function stopOnSignal(app: App, patienceMs: number): void {
  let stoppingSince: number | undefined

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stoppingSince === undefined) {
        stoppingSince = Date.now()
        void stop(signal)
      } else if (Date.now() - stoppingSince > 1000) {
        process.exit(1)
      }
    })
  }

  async function stop(signal: string): Promise<void> {
    const { log } = app.http
    log.info({ signal }, 'stopping')
    setTimeout(() => {
      log.error({ patienceMs, requests: requestsInFlight(app.http) }, 'gave up waiting')
      process.exit(1)
    }, patienceMs)
    try {
      await app.stop()
      log.info('stopped')
      process.exit(0)
    } catch (thrown) {
      log.error({ err: thrown }, 'stopping failed')
      process.exit(1)
    }
  }
}
