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

/** A cluster, and what is beside it. */
export interface Place {
  folder: string
  log: string
  lock: string
  /** How long the server stays when it is not used. */
  quietSeconds: number
}

/** How this process reaches the server of a cluster. */
export interface Address extends Place {
  short: ShortPath
  connection: pg.ClientConfig
}

const user = 'landfall'
const patienceMs = 60_000
const askAgainMs = 20
const longestLog = 1024 ** 2

/** The address of the server of a cluster, which is made when it is not there. */
export async function addressOf(place: Place): Promise<Address> {
  const password = await findOrMakeCluster(place)
  const short = await shortPathOf(place.folder)
  const connection = { host: short.path, port: 5432, user, password, database: 'postgres' }
  return { ...place, short, connection }
}

/** Resolves to the password of the cluster. */
async function findOrMakeCluster({ folder, lock }: Place): Promise<string> {
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

/** A connection that is not opened yet, and whose errors end nothing. */
export function clientOf({ connection }: Address): pg.Client {
  const client = new pg.Client({
    ...connection,
    application_name: applicationName,
    connectionTimeoutMillis: patienceMs,
  })
  // Its end tells all that is to be known.
  client.on('error', () => {})
  return client
}

/**
 * Starts the server unless it runs; of several processes that ask for it at once, one does and the others wait.
 * @throws ClusterNotStarted, EmbeddedDatabaseError
 */
export async function bringUp(address: Address): Promise<void> {
  if ((await ask(address)) === 'up') return
  await withFolderLock(address.lock, async () => {
    const until = performance.now() + patienceMs
    while (!(await tryToStart(address))) {
      if (performance.now() > until)
        throw new EmbeddedDatabaseError(
          `the embedded database in ${address.folder} has been starting or stopping for a minute; ${address.log} says why`,
        )
      await pause(askAgainMs)
    }
  })
}

/** What answers at the socket: a server, one that is starting or ending, or none. */
async function ask(address: Address): Promise<'up' | 'busy' | 'down'> {
  const client = clientOf(address)
  try {
    await client.connect()
    return 'up'
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'down'
    // Too many connections.
    if (code === '53300') return 'up'
    if (isTransient(error)) return 'busy'
    throw error
  } finally {
    void client.end().catch(() => {})
  }
}

/** Starts the server unless it runs; `false` when another one has not quite ended, or started. */
async function tryToStart(address: Address): Promise<boolean> {
  const answer = await ask(address)
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
      // Another program may have got the number of a server that was killed.
      formerPid: isRunning === false ? former : null,
      answers: async () => (await ask(address)) === 'up',
    })
  } catch (error) {
    // The sessions of a server that was killed need a moment to see it.
    if (error instanceof ClusterNotStarted && /pre-existing shared memory block/.test(error.message)) return false
    throw error
  }
  try {
    await watch(address)
  } catch (error) {
    await server.stop()
    throw error
  }
  server.outlive()
  return true
}

async function shortenLog(log: string): Promise<void> {
  const found = await stat(log).catch(() => null)
  if (found && found.size > longestLog) await rename(log, `${log}.old`)
}

/** Begins the watch where none runs, on a connection that is then cut off. */
export async function watch(address: Address): Promise<void> {
  const [contentPolicy, watching] = [clientOf(address), clientOf(address)]
  try {
    await contentPolicy.connect()
    if (await watchRuns(contentPolicy)) return
    await watching.connect()
    startWatch(watching, address.quietSeconds)
    while (!(await watchRuns(contentPolicy))) await pause(askAgainMs)
  } finally {
    cutOff(watching)
    await contentPolicy.end()
  }
}

/** `end` would wait for the answer to what runs. */
function cutOff(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}
