import { type App, buildApp } from '../app/app.ts'
import type { Config } from '../config.ts'
import { requestsInFlight } from '../http/connection/closing.ts'
import type { Peers } from '../telemetry/snapshots.ts'
import { banner } from './banner.ts'
import type { Serving } from './serving.ts'
import { onStopSignals } from './signals.ts'

// When thousands of clients reconnect after an outage, connections beyond Node's default backlog of 511 are dropped.
const backlog = 4096

export interface RunOptions {
  /** Whether development mode prints its banner. */
  isBannerWanted: boolean
  /** The other workers of this server. */
  peers?: Peers
  /** Reports why the server cannot run, and exits. */
  fail(thrown: unknown): Promise<never>
}

/** Opens everything, listens, and runs until a signal. Resolves when requests are answered. */
export async function runServer(config: Config, { isBannerWanted, peers, fail }: RunOptions): Promise<Serving> {
  try {
    const app = await buildApp(config, { peers })
    stopOnSignal(app, config.DRAIN_TIMEOUT)
    logUnhandled(app)
    await app.http.listen({ host: config.HOST, port: config.PORT, backlog })
    if (config.METRICS_PORT !== undefined)
      await app.metricsHttp?.listen({ host: config.HOST, port: config.METRICS_PORT })
    if (config.isDevelopment && isBannerWanted) console.log(await banner(config, app.http.listeningOrigin))
    return { working: app.working.catch(fail) }
  } catch (thrown) {
    return fail(thrown)
  }
}

/** Logs unhandled rejections, of the server or of hooks, instead of exiting: that would break all active uploads. */
function logUnhandled({ http }: App): void {
  process.on('unhandledRejection', (reason) => http.log.error({ err: reason }, 'unhandled rejection'))
}

/** The first signal lets requests save the bytes they received and exits with 0; a second one exits at once. */
function stopOnSignal(app: App, timeoutMs: number): void {
  const { log } = app.http
  onStopSignals(
    (signal) => void stop(signal),
    () => process.exit(1),
  )

  async function stop(signal: string): Promise<void> {
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
