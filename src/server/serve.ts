import { type App, buildApp } from '../app/app.ts'
import { ConfigError } from '../config.ts'
import { reasonOf } from '../db/errors.ts'
import { requestsInFlight } from '../http/connection/closing.ts'
import { banner } from './banner.ts'
import { readConfig } from './environment.ts'

// When thousands of clients reconnect after an outage, connections beyond Node's default backlog of 511 are dropped.
const backlog = 4096

/**
 * Reads the environment, opens everything, listens, and runs until a signal; exits with 1 on failure. Resolves when requests are
 * answered, and `working` when the background work has started too.
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
    return { working: app.working.catch(exitWith) }
  } catch (thrown) {
    return exitWith(thrown)
  }
}

function exitWith(thrown: unknown): never {
  console.error(explain(thrown))
  process.exit(1)
}

/** One line for an error that an operator can fix, the stack trace for any other. */
export function explain(thrown: unknown): string {
  if (thrown instanceof ConfigError) return `landfall: ${thrown.message}`
  const { code, message, stack, port } = thrown as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `landfall: port ${port} is in use; set PORT or METRICS_PORT to another one`
  if (code === 'DATABASE_ERROR') return `landfall: the database cannot be reached (${reasonOf(thrown)})`
  if (code !== undefined) return `landfall: ${message}`
  return `landfall: ${stack ?? String(thrown)}`
}

/** Logs unhandled rejections, of the server or of hooks, instead of exiting: that would break all active uploads. */
function logUnhandled({ http }: App): void {
  process.on('unhandledRejection', (reason) => http.log.error({ err: reason }, 'unhandled rejection'))
}

/**
 * The first signal lets requests save the bytes they received and exits with 0; a second one exits at once. A Ctrl-C often arrives twice,
 * from the terminal and from npm, so signals within a second count as one.
 */
function stopOnSignal(app: App, timeoutMs: number): void {
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
      log.error({ timeoutMs, requests: requestsInFlight(app.http) }, 'stopped waiting for requests')
      process.exit(1)
    }, timeoutMs)
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
