/*
 * The embedded database: a Postgres server, from npm's binaries, on a folder in DATA_DIR. It belongs to no process of Landfall. A
 * process uses the server that is running, or starts it, one process at a time (folder-lock.ts). The server ends when it has not been
 * used for some seconds (presence.ts); a process that still uses it starts it again.
 *
 * The server is found by its socket, which is in its own folder: a server that answers there and accepts the password is ours. Without
 * an answer there, no server is running, whatever `postmaster.pid` says.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { codeOf, isTransient } from '../errors.ts'
import { findBinaries } from './binaries.ts'
import { type Address, addressOf, bringUp, clientOf, watch } from './bring-up.ts'
import { readCluster, readPid, runsOn } from './cluster-state.ts'
import type { EmbeddedDatabaseError } from './error.ts'
import { explain } from './explain.ts'
import { joinServer, leaveServer } from './presence.ts'
import { chooseUser } from './run-as.ts'

export interface EmbeddedOptions {
  /** The folder of the cluster, which is created unless it exists. Its log and the folder of its lock are beside it. */
  folder: string
  /** Called when a server that had ended could not be started again; the start is retried. */
  onError(error: EmbeddedDatabaseError): void
  /** How long the server keeps running while it is not used; the first process that uses it decides. */
  quietSeconds?: number
}

export interface EmbeddedServer {
  /** The configuration for clients of this process. */
  connection: pg.ClientConfig
  /** Stops using the server, and waits for its end when this process was the last to use it. */
  close(): Promise<void>
}

const timeoutMs = 60_000
const retryMs = 20

/**
 * Uses the server of the cluster in `folder`; creates the cluster and starts the server where needed.
 * @throws EmbeddedDatabaseError with the fix
 */
export async function openEmbedded({ folder, onError, quietSeconds = 20 }: EmbeddedOptions): Promise<EmbeddedServer> {
  const paths = { folder, log: `${folder}.log`, lock: `${folder}.lock`, quietSeconds }
  let address: Address
  let client: pg.Client
  try {
    address = await addressOf(paths)
    client = await join(address)
  } catch (error) {
    throw await explain(error, folder, paths.log)
  }

  let isClosed = false
  const closing = new AbortController()
  let rejoining: Promise<void> | null = null
  rejoinWhenLost()

  function rejoinWhenLost() {
    client.once('end', () => {
      if (!isClosed) rejoining = rejoin()
    })
  }

  async function rejoin(): Promise<void> {
    for (let pauseMs = 100; !isClosed; pauseMs = Math.min(5000, pauseMs * 2)) {
      try {
        client = await join(address)
        return rejoinWhenLost()
      } catch (error) {
        onError(await explain(error, folder, paths.log))
        await pause(pauseMs, undefined, { signal: closing.signal }).catch(() => {})
      }
    }
  }

  return {
    connection: address.connection,
    async close() {
      isClosed = true
      closing.abort()
      await rejoining
      const hasEnded = await leaveServer(client).then(
        () => false,
        () => true,
      )
      await client.end().catch(() => {})
      if (hasEnded) await untilGone(folder)
      await address.short.close()
    },
  }
}

/**
 * As `openEmbedded` where a cluster exists, else `null`; for commands that inspect it once.
 * @throws EmbeddedDatabaseError also when the programs of Postgres are not there
 */
export async function openExisting(folder: string): Promise<EmbeddedServer | null> {
  try {
    if ((await readCluster(folder)) !== null) return await openEmbedded({ folder, onError: () => {} })
    await findBinaries(await chooseUser(folder))
    return null
  } catch (error) {
    throw await explain(error, folder, `${folder}.log`)
  }
}

/** Resolves to a connection that marks the server as used; starts the server unless it runs. */
async function join(address: Address): Promise<pg.Client> {
  const until = performance.now() + timeoutMs
  for (;;) {
    const client = clientOf(address)
    try {
      await bringUp(address)
      await client.connect()
      await joinServer(client)
      await watch(address)
      return client
    } catch (error) {
      void client.end().catch(() => {})
      // The server may be ending at this moment because it was not used.
      if (!isEnding(error) || performance.now() > until) throw error
      await pause(retryMs)
    }
  }
}

function isEnding(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ECONNREFUSED' || isTransient(error)
}

/** Waits for the end of a server that is shutting down. */
async function untilGone(folder: string): Promise<void> {
  const until = performance.now() + timeoutMs
  for (;;) {
    const pid = await readPid(folder)
    if (pid === null || (await runsOn(pid, folder)) === false || performance.now() > until) return
    await pause(retryMs)
  }
}
