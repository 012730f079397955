import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { NotReady } from '../core/errors/error.ts'

/** Each part of the world that must answer, by the name a reader of the reason knows. */
export interface HealthOptions {
  parts: Record<string, () => Promise<void>>
  isDraining: () => boolean
  /** Whether the log says already what went wrong. */
  isReported?: (thrown: unknown) => boolean
}

const checkTimeoutMs = 3_000
// Balancers ask often and from many sides; the store and the database need not hear each of them.
const freshMs = 1_000

/** `/health` and `/livez`: the process answers. `/readyz`: it can do its work, or 503 and why not. */
export async function healthPlugin(
  app: FastifyInstance,
  { parts, isDraining, isReported = () => false }: HealthOptions,
): Promise<void> {
  let last: { at: number; troubles: Promise<FailedCheck[]> } | undefined
  let logged = ''

  const quiet = { config: { isQuiet: true } }
  app.get('/health', quiet, async () => status('ok'))
  app.get('/livez', quiet, async () => status('ok'))
  app.get('/readyz', quiet, async (request, reply) => {
    if (!last || Date.now() - last.at > freshMs)
      last = { at: Date.now(), troubles: findFailedChecks(parts, isReported) }
    const troubles = isDraining() ? [{ reason: 'the server is stopping' }] : await last.troubles
    logChange(request.log, troubles)
    if (troubles.length === 0) return status('ready')
    const reason = troubles.map((trouble) => trouble.reason).join('; ')
    return reply
      .code(503)
      .header('retry-after', '5')
      .send({ ...status('unavailable'), reason })
  })

  /** Balancers ask every few seconds; only a change is worth a line. */
  function logChange(log: FastifyBaseLogger, troubles: FailedCheck[]): void {
    const untold = troubles.filter((trouble) => !trouble.isTold)
    const reasons = untold.map((trouble) => trouble.reason).join('; ')
    if (reasons === logged) return
    logged = reasons
    if (reasons === '') log.info('ready again')
    else log.warn({ troubles: untold }, 'not ready')
  }
}

interface FailedCheck {
  /** For everybody who asks. */
  reason: string
  /** For the log. */
  cause?: string
  isTold?: boolean
}

async function findFailedChecks(
  parts: HealthOptions['parts'],
  isTold: (thrown: unknown) => boolean,
): Promise<FailedCheck[]> {
  const found = await Promise.all(Object.entries(parts).map(async ([name, check]) => runCheck(name, check, isTold)))
  return found.filter((trouble) => trouble !== null)
}

async function runCheck(
  name: string,
  check: () => Promise<void>,
  isTold: (thrown: unknown) => boolean,
): Promise<FailedCheck | null> {
  const silence = Promise.withResolvers<never>()
  const patience = setTimeout(() => silence.reject(new Error(`no answer in ${checkTimeoutMs} ms`)), checkTimeoutMs)
  try {
    await Promise.race([check(), silence.promise])
    return null
  } catch (thrown) {
    if (thrown instanceof NotReady) return { reason: thrown.message, cause: String(thrown.cause ?? thrown.message) }
    // Drivers put hosts and users into their messages: those are for the log.
    return { reason: `${name} does not answer`, cause: String(thrown), isTold: isTold(thrown) }
  } finally {
    clearTimeout(patience)
  }
}

function status(word: string) {
  return { service: 'landfall', status: word, timestamp: new Date().toISOString() }
}
