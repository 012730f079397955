import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { findBinaries } from '../../src/db/embedded/binaries.ts'
import { initCluster } from '../../src/db/embedded/init.ts'
import { chooseUser } from '../../src/db/embedded/run-as.ts'
import { startCluster } from '../../src/db/embedded/start.ts'
import { askBroker } from './broker.ts'
import { freePort } from './free-port.ts'

/** A Postgres cluster for one test, on 127.0.0.1, which the test can kill. */
export interface Postgres {
  url: string
  port: number
  /** Kills it at once, like a power failure; committed data is on the disk. */
  kill(): Promise<void>
  /** Starts again after `kill`, on the same port. */
  start(): Promise<void>
  /** Ends it and deletes the data. */
  stop(): Promise<void>
}

export interface FreshDatabase {
  url: string
  dispose(): Promise<void>
}

/**
 * Starts a Postgres of npm's binaries in a temporary directory, as Landfall starts its embedded one.
 * @param options.isDurable whether every commit waits for the disk; off by default, because few tests need it
 */
export async function startPostgres(options: { isDurable?: boolean } = {}): Promise<Postgres> {
  const { isDurable = false } = options
  const directory = await mkdtemp(join(tmpdir(), 'landfall-postgres-'))
  const folder = join(directory, 'data')
  const runAs = await chooseUser(folder)
  const binaries = await findBinaries(runAs)
  const port = await freePort()
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`
  await initCluster({ folder, binaries, runAs, user: 'postgres', password: 'postgres', isDurable })
  const sync = isDurable ? 'on' : 'off'
  const start = () =>
    startCluster({
      folder,
      binaries,
      runAs,
      log: join(directory, 'log'),
      settings: {
        listen_addresses: '127.0.0.1',
        port,
        unix_socket_directories: '',
        max_connections: 200,
        fsync: sync,
        synchronous_commit: sync,
      },
      answers: () => command(url, 'select 1').then(() => true, isStarting),
    })
  // Unless `outlive` is called, it ends with this process.
  let running = await start()
  const deleteData = () => rmSync(directory, { recursive: true, force: true })
  process.once('exit', deleteData)
  const end = async (signal: NodeJS.Signals) => {
    if (isAlive(running.pid)) process.kill(running.pid, signal)
    // The server and its end do not keep this process alive, and a tool may have nothing else to do.
    const keepAlive = setInterval(() => {}, 1000)
    await running.gone.finally(() => clearInterval(keepAlive))
  }
  return {
    url,
    port,
    kill: () => end('SIGKILL'),
    async start() {
      running = await start()
    },
    async stop() {
      await end('SIGINT')
      deleteData()
      process.off('exit', deleteData)
    },
  }
}

/** Returns `false` for the errors of a server that is still starting; throws others. */
function isStarting(error: { code?: string }): boolean {
  if (error.code === 'ECONNREFUSED' || error.code === '57P03') return false
  throw error
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
 * @param options.isMigrated a copy of the migrated template, which takes milliseconds; by default the database is empty
 */
export async function freshDatabase(options: { isMigrated?: boolean } = {}): Promise<FreshDatabase> {
  const { TEST_BROKER, TEST_DATABASE_URL } = process.env
  // Tools run outside vitest, on the cluster of TEST_DATABASE_URL.
  const isTool = !TEST_BROKER && TEST_DATABASE_URL !== undefined && !options.isMigrated
  const found = isTool ? { cluster: TEST_DATABASE_URL } : await askBroker(options.isMigrated ? '/template' : '/')
  const { cluster = '', template } = found as Record<string, string>
  const name = `test_${randomBytes(8).toString('hex')}`
  await command(cluster, `create database ${name}${template ? ` template ${template}` : ''}`)
  return {
    url: databaseUrl(cluster, name),
    dispose: () => command(cluster, `drop database if exists ${name} with (force)`),
  }
}

/** The connection string of the database `name` in the cluster of the connection string `cluster`. */
export function databaseUrl(cluster: string, name: string): string {
  const url = new URL(cluster)
  url.pathname = `/${name}`
  return url.href
}

/** Runs one statement in the database at `url`. */
export async function command(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
