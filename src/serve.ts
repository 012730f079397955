import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type App, buildApp } from './app.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { reasonOf } from './db/faults.ts'
import { signInLink } from './development.ts'
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
    outliveFaults(app)
    await app.http.listen({ host: config.HOST, port: config.PORT, backlog })
    if (config.METRICS_PORT !== undefined)
      await app.metricsHttp?.listen({ host: config.HOST, port: config.METRICS_PORT })
    if (config.isDevelopment) console.log(await banner(app, config))
    return { working: app.working.catch(giveUp) }
  } catch (thrown) {
    return giveUp(thrown)
  }
}

function giveUp(thrown: unknown): never {
  console.error(explain(thrown))
  process.exit(1)
}

/** The configuration of this process: its environment, and the .env file of the working directory for what that lacks. */
export function readConfig(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return loadConfig(process.env)
}

/** One line for what an operator can mend, the whole trace for what only a developer can. */
export function explain(thrown: unknown): string {
  if (thrown instanceof ConfigError) return `landfall: ${thrown.message}`
  const { code, message, stack } = thrown as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return 'landfall: the port is in use; PORT chooses another one'
  if (code === 'DATABASE_ERROR') return `landfall: the database cannot be reached (${reasonOf(thrown)})`
  if (code !== undefined) return `landfall: ${message}`
  return `landfall: ${stack ?? String(thrown)}`
}

/** A promise that failed and that nobody waits for, ours or of the operator's code, is told of; all uploads that run would pay for it. */
function outliveFaults({ http }: App): void {
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

async function banner(app: App, config: Config): Promise<string> {
  const url =
    config.PUBLIC_URL ?? app.http.listeningOrigin.replace('127.0.0.1', 'localhost').replace('[::1]', 'localhost')
  const link = await signInLink(config, url)
  return `
  Landfall is up, for trying out.

  sign in   ${link}
            (once, within 15 minutes; \`npx landfall sign-in-link\` prints another link)
  page      ${url}/
  admin     ${url}/admin
            (with the token that \`npx landfall token -u me -r creator --admin\` prints)
  tus       ${url}/files
  API       ${url}/docs
  files     ${config.STORE === 's3' ? `bucket ${config.S3_BUCKET}` : join(config.DATA_DIR, 'files')}
  sessions  ${config.DATABASE_URL ? 'the Postgres of DATABASE_URL' : `an embedded Postgres in ${join(config.DATA_DIR, 'postgres')}`}

  \`npx landfall token -u me -r creator\` prints a token for scripts.
  For a service set NODE_ENV=production; it then says what else it needs.
`
}
