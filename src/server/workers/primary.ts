/*
 * The primary: the process of a server of several workers that serves nothing. It starts the workers (supervisor.ts), brings their metrics
 * together (worker-metrics.ts), and ends when all of them have ended.
 *
 * The workers share the listening socket and each accepts connections itself. Node's other way, where the primary accepts and hands the
 * connections out, loses a connection that is on its way to a worker that dies: its client would wait for ever.
 */
import cluster, { type Worker } from 'node:cluster'
import { pino } from 'pino'
import type { Config } from '../../config.ts'
import { logLines } from '../../http/log-lines.ts'
import type { Snapshot } from '../../telemetry/snapshots.ts'
import type { Serving } from '../serving.ts'
import { onStopSignals } from '../signals.ts'
import { type Assignment, assignmentVariable } from './assignment.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { type Command, Supervisor } from './supervisor.ts'
import { WorkerMetrics } from './worker-metrics.ts'

interface Running {
  process: Worker
  listeningAt: number | null
  reason: string | null
}

// Workers end themselves after DRAIN_TIMEOUT; one that does not is killed this much later.
const overrunMs = 3000

/** Runs the workers until a signal, or until they cannot run; then exits. Resolves when the first of them answers requests. */
export function runPrimary(config: Config): Promise<Serving> {
  const { stream, ...options } = logLines({ level: config.LOG_LEVEL, format: config.LOG_FORMAT })
  const log = pino(options, stream)
  const supervisor = new Supervisor(config.WORKERS)
  const running = new Map<number, Running>()
  const workerMetrics = new WorkerMetrics((number, id) => tell(number, { type: 'snapshot', id }), addLate)
  const { promise: isListening, resolve: listens } = Promise.withResolvers<void>()

  cluster.schedulingPolicy = cluster.SCHED_NONE
  onStopSignals(stop, () => carryOut(supervisor.abandon()))
  carryOut(supervisor.begin())

  function carryOut(commands: Command[]): void {
    if (commands.some((command) => command.do === 'stop'))
      setTimeout(() => carryOut(supervisor.abandon()), config.DRAIN_TIMEOUT + overrunMs)
    for (const command of commands) {
      if (command.do === 'start') start(command.number, command.isFirst)
      else if (command.do === 'wait') setTimeout(() => carryOut(supervisor.isDue(command.number)), command.ms)
      // A worker that has not installed its handler yet ends at once.
      else if (command.do === 'stop') running.get(command.number)?.process.process.kill('SIGTERM')
      else if (command.do === 'kill') running.get(command.number)?.process.process.kill('SIGKILL')
      else exit(command.code, command.reason)
    }
  }

  function start(number: number, isFirst: boolean): void {
    const assignment: Assignment = { number, of: config.WORKERS, isFirst }
    const worker = cluster.fork({ [assignmentVariable]: JSON.stringify(assignment) })
    const one: Running = { process: worker, listeningAt: null, reason: null }
    running.set(number, one)
    worker.on('message', (message: FromWorker) => hear(number, one, message))
    worker.on('error', (error) => {
      one.reason ??= error.message
      // Without a process no other event follows.
      if (worker.process.pid === undefined) ended(number, one, null, null)
    })
    worker.once('exit', (code, signal) => ended(number, one, code, signal))
  }

  function hear(number: number, one: Running, message: FromWorker): void {
    if (message.type === 'listening') {
      one.listeningAt = performance.now()
      listens()
      carryOut(supervisor.listens(number))
    } else if (message.type === 'failed') {
      one.reason = message.reason
    } else if (message.type === 'snapshot') {
      workerMetrics.answered(number, message.id, message.snapshot)
    } else if (message.type === 'collect') {
      void workerMetrics.collect(number, message.own, othersThanListen(number)).then((snapshots) => {
        tell(number, { type: 'collected', id: message.id, snapshots })
      })
    }
  }

  function ended(number: number, one: Running, code: number | null, signal: string | null): void {
    running.delete(number)
    workerMetrics.ended(number)
    const listenedMs = one.listeningAt === null ? null : performance.now() - one.listeningAt
    const commands = supervisor.ended(number, { code, signal, reason: one.reason, listenedMs })
    const wait = commands.find((command) => command.do === 'wait')
    if (wait)
      log.warn(
        { worker: number, code, signal, reason: one.reason, restartMs: wait.ms },
        'a worker ended; it is started again',
      )
    carryOut(commands)
  }

  function othersThanListen(number: number): number[] {
    return [...running]
      .filter(([other, { listeningAt }]) => other !== number && listeningAt !== null)
      .map(([other]) => other)
  }

  function tell(number: number, message: ToWorker): void {
    const worker = running.get(number)?.process
    // It may be ending at this moment: its `exit` follows.
    if (worker?.isConnected()) worker.send(message, () => {})
  }

  function stop(signal: string): void {
    log.info({ signal }, 'stopping all workers')
    carryOut(supervisor.stop())
  }

  function exit(code: 0 | 1, reason: string | null): never {
    if (reason !== null) console.error(`landfall: ${reason}`)
    else log.info({ code }, 'all workers have stopped')
    process.exit(code)
  }

  return isListening.then(() => ({ working: Promise.resolve() }))
}

/** Loaded when the first worker has ended: the primary needs little memory without it. */
async function addLate(one: Snapshot, other: Snapshot): Promise<Snapshot> {
  const { addCounters } = await import('../../telemetry/snapshots.ts')
  return addCounters(one, other)
}
