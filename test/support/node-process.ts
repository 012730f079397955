import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { built, serverScript } from './built.ts'
import { freePort } from './free-port.ts'
import { testSecret } from './tus-file.ts'
import { until } from './until.ts'

/** A real Landfall in a process of its own: what a test kills, pauses and starts again. */
export interface NodeProcess {
  url: string
  port: number
  /** Of the process that runs now, or ran last. */
  pid(): number
  /** Everything it wrote, over all its lives. */
  log(): string
  /** Its log lines that are JSON. */
  records(): Record<string, unknown>[]
  /** Resolves when the log holds `text`, from now on or already. */
  said(text: string | RegExp, withinMs?: number): Promise<void>
  /** No farewell: as when the machine loses power. */
  kill(): Promise<void>
  /** Stops in the middle of whatever it does; sockets stay open, nobody answers. */
  pause(): void
  resume(): void
  /** Asks it to end and waits; resolves to its exit code, `null` when a signal ended it. */
  stop(signal?: 'SIGTERM' | 'SIGINT'): Promise<number | null>
  /** Starts it again on the same port, with the same environment and what is given here. */
  start(environment?: Record<string, string>): Promise<void>
}

export interface NodeProcessOptions {
  environment?: Record<string, string>
  /** What Node runs; the server as it is shipped unless told. */
  script?: string
  arguments?: string[]
  /** Flags of Node itself, `--max-old-space-size=…`. */
  nodeFlags?: string[]
  port?: number
  readyWithinMs?: number
  /** Where it says that it has started; `/livez` for one that is never ready. */
  readyAt?: string
}

const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_V8_COVERAGE']
// Servers are started by the hundred; each but the first finds its modules compiled.
const startsFaster = { NODE_COMPILE_CACHE: join(tmpdir(), 'landfall-compiled') }
const running = new Set<ChildProcess>()
const directories = new Set<string>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/**
 * Starts a server and waits until it is ready. It sees `environment`, HOST and PORT, and nothing of the tests' own, and
 * runs in an empty directory that is thrown away when the tests end.
 * @throws Error with what it wrote, when it ends or is not ready in time
 */
export async function startNodeProcess(options: NodeProcessOptions = {}): Promise<NodeProcess> {
  if (!options.script) await built('server')
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const readyWithinMs = options.readyWithinMs ?? 90_000
  // A server with a Postgres is a service: development mode has its embedded one.
  const production = options.environment?.DATABASE_URL ? { NODE_ENV: 'production', JWT_SECRET: testSecret } : {}
  let environment: Record<string, string> = {
    ...production,
    ...options.environment,
    HOST: '127.0.0.1',
    PORT: String(port),
  }
  const directory = mkdtempSync(join(tmpdir(), 'landfall-node-'))
  directories.add(directory)
  let log = ''
  let child: ChildProcess

  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null

  async function start(more: Record<string, string> = {}): Promise<void> {
    environment = { ...environment, ...more }
    const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
    child = spawn(
      process.execPath,
      [...(options.nodeFlags ?? []), options.script ?? serverScript, ...(options.arguments ?? [])],
      {
        cwd: directory,
        env: { ...startsFaster, ...Object.fromEntries(kept), ...environment },
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
    if (isOver()) throw new Error(`The server ended before it was ready:\n${log.slice(-4000)}`)
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (!isOver()) {
      const over = once(child, 'exit')
      child.kill(signal)
      // A paused process hears nothing but SIGKILL.
      if (signal !== 'SIGKILL') child.kill('SIGCONT')
      await over
    }
    return child.exitCode
  }

  async function untilLogged(isTrue: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
    await until(isTrue, withinMs).catch(() => {
      throw new Error(`Not within ${withinMs} ms. The log ends:\n${log.slice(-4000)}`)
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
    said: (text, withinMs = 60_000) =>
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

// The last line may be half there, when the process was killed.
function parse(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}
