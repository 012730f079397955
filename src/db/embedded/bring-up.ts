import { randomBytes } from 'node:crypto'
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { codeOf, isTransient } from '../errors.ts'
import { findBinaries } from './binaries.ts'
import { readCluster, readPid, runsOn } from './cluster-state.ts'
import { EmbeddedDatabaseError } from './error.ts'
import { withFolderLock } from './folder-lock.ts'
import { initCluster } from './init.ts'
import { applicationName, startWatch, watchRuns } from './presence.ts'
import { chooseUser } from './run-as.ts'
import { embeddedSettings } from './settings.ts'
import { type ShortPath, shortPathOf } from './short-path.ts'
import { ClusterNotStarted, type RunningCluster, startCluster } from './start.ts'

/** The folder of a cluster, with its log and lock. */
export interface ClusterPaths {
  folder: string
  log: string
  lock: string
  /** How long the server keeps running while it is not used. */
  quietSeconds: number
}

/** How this process reaches the server of a cluster. */
export interface Address extends ClusterPaths {
  short: ShortPath
  connection: pg.ClientConfig
}

const user = 'landfall'
const tooManyConnections = '53300'
const timeoutMs = 60_000
const retryMs = 20
const maxLogSize = 1024 ** 2

/** The address of the server of a cluster, which is created unless it exists. */
export async function addressOf(paths: ClusterPaths): Promise<Address> {
  const password = await findOrCreateCluster(paths)
  const short = await shortPathOf(paths.folder)
  const connection = { host: short.path, port: 5432, user, password, database: 'postgres' }
  return { ...paths, short, connection }
}

/** Resolves to the password of the cluster. */
async function findOrCreateCluster({ folder, lock }: ClusterPaths): Promise<string> {
  await mkdir(dirname(folder), { recursive: true })
  const found = await readCluster(folder)
  if (found !== null) return found
  return withFolderLock(lock, async () => {
    const foundNow = await readCluster(folder)
    if (foundNow !== null) return foundNow
    const runAs = await chooseUser(folder)
    const binaries = await findBinaries(runAs)
    const password = randomBytes(24).toString('base64url')
    await initCluster({ folder, binaries, runAs, user, password, isDurable: true })
    return password
  })
}

/** A client that is not connected yet, and whose error events do not end the process. */
export function clientOf({ connection }: Address): pg.Client {
  const client = new pg.Client({
    ...connection,
    application_name: applicationName,
    connectionTimeoutMillis: timeoutMs,
  })
  // Callers watch its `end` event instead.
  client.on('error', () => {})
  return client
}

/**
 * Starts the server unless it runs. When several processes call this at once, one starts it and the others wait.
 * @throws ClusterNotStarted, EmbeddedDatabaseError
 */
export async function bringUp(address: Address): Promise<void> {
  if ((await probe(address)) === 'up') return
  await withFolderLock(address.lock, async () => {
    const until = performance.now() + timeoutMs
    while (!(await tryToStart(address))) {
      if (performance.now() > until)
        throw new EmbeddedDatabaseError(
          `the embedded database in ${address.folder} has been starting or stopping for a minute; see ${address.log} for the reason`,
        )
      await pause(retryMs)
    }
  })
}

/** Whether a server answers at the socket, is starting or ending (`busy`), or is not there. */
async function probe(address: Address): Promise<'up' | 'busy' | 'down'> {
  const client = clientOf(address)
  try {
    await client.connect()
    return 'up'
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'down'
    if (code === tooManyConnections) return 'up'
    if (isTransient(error)) return 'busy'
    throw error
  } finally {
    void client.end().catch(() => {})
  }
}

/** Starts the server unless it runs; `false` while another one is ending or starting. */
async function tryToStart(address: Address): Promise<boolean> {
  const answer = await probe(address)
  if (answer !== 'down') return answer === 'up'
  const { folder, log } = address
  const former = await readPid(folder)
  const isRunning = former !== null && (await runsOn(former, folder))
  if (isRunning) return false
  const runAs = await chooseUser(folder)
  const binaries = await findBinaries(runAs)
  await shortenLog(log)
  let server: RunningCluster
  try {
    server = await startCluster({
      folder,
      binaries,
      runAs,
      settings: embeddedSettings,
      log,
      // The pid of a server that was killed may now belong to another program.
      formerPid: isRunning === false ? former : null,
      answers: async () => (await probe(address)) === 'up',
    })
  } catch (error) {
    // The backends of a killed server need a moment to notice and to free their shared memory.
    if (error instanceof ClusterNotStarted && /pre-existing shared memory block/.test(error.message)) return false
    throw error
  }
  try {
    await watch(address)
  } catch (error) {
    await server.stop()
    throw error
  }
  server.detach()
  return true
}

async function shortenLog(log: string): Promise<void> {
  const found = await stat(log).catch(() => null)
  if (found && found.size > maxLogSize) await rename(log, `${log}.old`)
}

/** Starts the watch unless one runs, on a connection that is then destroyed. */
export async function watch(address: Address): Promise<void> {
  const [client, watching] = [clientOf(address), clientOf(address)]
  try {
    await client.connect()
    if (await watchRuns(client)) return
    await watching.connect()
    startWatch(watching, address.quietSeconds)
    while (!(await watchRuns(client))) await pause(retryMs)
  } finally {
    destroyConnection(watching)
    await client.end()
  }
}

/** Closes the socket at once: `client.end()` would wait for the running statement. */
function destroyConnection(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}
