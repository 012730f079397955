import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { NotReady } from '../core/errors/error.ts'

export interface HealthOptions {
  /** A check per dependency that must answer, by the name that `reason` calls it. A check that fails must throw. */
  checks: Record<string, () => Promise<void>>
  isDraining: () => boolean
  /** Whether the error of a check has been logged elsewhere already. */
  isReported?: (thrown: unknown) => boolean
}

const checkTimeoutMs = 3_000
// Load balancers probe often and from many hosts; the result is reused so that not each probe reaches the store and the database.
const freshMs = 1_000

/** `/health` and `/livez` answer 200 while the process runs. `/readyz` answers 200 while all checks succeed, else 503 with the reason. */
export async function healthPlugin(
  app: FastifyInstance,
  { checks, isDraining, isReported = () => false }: HealthOptions,
): Promise<void> {
  let last: { at: number; failedChecks: Promise<FailedCheck[]> } | undefined
  let logged = ''

  const probe = { config: { isProbe: true } }
  app.get('/health', probe, async () => status('ok'))
  app.get('/livez', probe, async () => status('ok'))
  app.get('/readyz', probe, async (request, reply) => {
    if (!last || Date.now() - last.at > freshMs)
      last = { at: Date.now(), failedChecks: findFailedChecks(checks, isReported) }
    const failedChecks = isDraining() ? [{ reason: 'the server is stopping' }] : await last.failedChecks
    logChange(request.log, failedChecks)
    if (failedChecks.length === 0) return status('ready')
    const reason = failedChecks.map((check) => check.reason).join('; ')
    return reply
      .code(503)
      .header('retry-after', '5')
      .send({ ...status('unavailable'), reason })
  })

  /** Logs only changes, because load balancers probe every few seconds. */
  function logChange(log: FastifyBaseLogger, all: FailedCheck[]): void {
    const failedChecks = all.filter((check) => !check.isReported)
    const reasons = failedChecks.map((check) => check.reason).join('; ')
    if (reasons === logged) return
    logged = reasons
    if (reasons === '') log.info('ready again')
    else log.warn({ failedChecks }, 'not ready')
  }
}

interface FailedCheck {
  /** Sent to every client. */
  reason: string
  /** Only logged. */
  cause?: string
  isReported?: boolean
}

async function findFailedChecks(
  checks: HealthOptions['checks'],
  isReported: (thrown: unknown) => boolean,
): Promise<FailedCheck[]> {
  const found = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => runCheck(name, check, isReported)),
  )
  return found.filter((check) => check !== null)
}

async function runCheck(
  name: string,
  check: () => Promise<void>,
  isReported: (thrown: unknown) => boolean,
): Promise<FailedCheck | null> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => timeout.reject(new Error(`no answer in ${checkTimeoutMs} ms`)), checkTimeoutMs)
  try {
    await Promise.race([check(), timeout.promise])
    return null
  } catch (thrown) {
    if (thrown instanceof NotReady) return { reason: thrown.message, cause: String(thrown.cause ?? thrown.message) }
    // Messages of drivers contain hosts and users, so they are logged and not sent.
    return { reason: `${name} does not answer`, cause: String(thrown), isReported: isReported(thrown) }
  } finally {
    clearTimeout(timer)
  }
}

function status(value: string) {
  return { service: 'landfall', status: value, timestamp: new Date().toISOString() }
}
