import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { built, serverScript } from './built.ts'
import { freePort } from './free-port.ts'
import { testSecret } from './tus-file.ts'
import { until } from './until.ts'

/** A Landfall server in a process of its own, which a test can kill, pause and start again. */
export interface NodeProcess {
  url: string
  port: number
  /** The pid of the running or last process. */
  pid(): number
  /** Its output since the first start. */
  log(): string
  /** Its log lines that are JSON. */
  records(): Record<string, unknown>[]
  /** Resolves when the log contains `text`, which may already be so. */
  untilLogged(text: string | RegExp, withinMs?: number): Promise<void>
  /** Kills it without a shutdown, like a power failure. */
  kill(): Promise<void>
  /** Stops the process; its sockets stay open and are not answered. */
  pause(): void
  resume(): void
  /** Sends a signal and waits for the end; resolves to the exit code, `null` when a signal ended it. */
  stop(signal?: 'SIGTERM' | 'SIGINT'): Promise<number | null>
  /** Starts it again on the same port, with the same environment and the additions in `environment`. */
  start(environment?: Record<string, string>): Promise<void>
}

export interface NodeProcessOptions {
  environment?: Record<string, string>
  /** The script that Node runs; by default the bundled server. */
  script?: string
  arguments?: string[]
  /** Flags of Node itself, `--max-old-space-size=…`. */
  nodeFlags?: string[]
  port?: number
  readyWithinMs?: number
  /** The path that is polled until it answers 200; `/livez` for a server that never becomes ready. */
  readyAt?: string
}

const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_V8_COVERAGE']
// Tests start hundreds of servers; with the cache all but the first find their modules compiled.
const compileCache = { NODE_COMPILE_CACHE: join(tmpdir(), 'landfall-compiled') }
const running = new Set<ChildProcess>()
const directories = new Set<string>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/**
 * Starts a server and waits until it is ready. Its environment is `environment` with HOST and PORT, without the variables of the tests;
 * its working directory is empty and is removed when the tests end.
 * @throws Error with its output, when it ends or is not ready in time
 */
export async function startNodeProcess(options: NodeProcessOptions = {}): Promise<NodeProcess> {
  if (!options.script) await built('server')
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const readyWithinMs = options.readyWithinMs ?? 90_000
  // A server with DATABASE_URL runs in production mode: development mode has the embedded Postgres.
  const production = options.environment?.DATABASE_URL ? { NODE_ENV: 'production', JWT_SECRET: testSecret } : {}
  let environment: Record<string, string> = {
    ...production,
    // One process, which `kill` and `pause` reach as a whole.
    WORKERS: '1',
    ...options.environment,
    HOST: '127.0.0.1',
    PORT: String(port),
  }
  const directory = mkdtempSync(join(tmpdir(), 'landfall-node-'))
  directories.add(directory)
  let log = ''
  let child: ChildProcess

  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null

  async function start(additions: Record<string, string> = {}): Promise<void> {
    environment = { ...environment, ...additions }
    const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
    child = spawn(
      process.execPath,
      [...(options.nodeFlags ?? []), options.script ?? serverScript, ...(options.arguments ?? [])],
      {
        cwd: directory,
        env: { ...compileCache, ...Object.fromEntries(kept), ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    running.add(child)
    child.once('exit', () => running.delete(child))
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log += text
      })
    }
    await untilLogged(() => isOver() || isReady(url + (options.readyAt ?? '/readyz')), readyWithinMs)
    if (isOver()) throw new Error(`the server ended before it was ready:\n${log.slice(-4000)}`)
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (!isOver()) {
      const over = once(child, 'exit')
      child.kill(signal)
      // A paused process handles no signal but SIGKILL.
      if (signal !== 'SIGKILL') child.kill('SIGCONT')
      await over
    }
    return child.exitCode
  }

  async function untilLogged(isTrue: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
    await until(isTrue, withinMs).catch(() => {
      throw new Error(`timeout after ${withinMs} ms; the end of the log:\n${log.slice(-4000)}`)
    })
  }

  try {
    await start()
  } catch (reason) {
    await end('SIGKILL')
    throw reason
  }
  return {
    url,
    port,
    pid: () => child.pid ?? 0,
    log: () => log,
    records: () => log.split('\n').flatMap((line) => (line.startsWith('{') ? parse(line) : [])),
    untilLogged: (text, withinMs = 60_000) =>
      untilLogged(() => (typeof text === 'string' ? log.includes(text) : text.test(log)), withinMs),
    async kill() {
      await end('SIGKILL')
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: (signal = 'SIGTERM') => end(signal),
    start,
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

// The last line is incomplete when the process was killed while it wrote it.
function parse(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}
