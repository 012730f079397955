/*
 * The embedded database: a Postgres server of npm's binaries on a folder of DATA_DIR. It belongs to no process. Whoever finds it
 * running uses it; who does not starts it, one process at a time (folder-lock.ts); and it ends when it has not been used for some
 * seconds (presence.ts). A process that uses it starts it again when it has gone.
 *
 * The server is found by its socket, which is in its own folder: what answers there with the right password is our server, and
 * what does not answer there is not running, whatever `postmaster.pid` says.
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
  /** Where the cluster is, or will be. Beside it are its log and the folder of its lock. */
  folder: string
  /** Told why the server could not be started again after it had gone; it is tried again. */
  onError(error: EmbeddedDatabaseError): void
  /** How long the server stays when it is not used; the first process that uses it decides. */
  quietSeconds?: number
}

export interface EmbeddedServer {
  /** What clients of this process connect with. */
  connection: pg.ClientConfig
  /** Lets go of the server, and waits for its end when this process was the last one that used it. */
  close(): Promise<void>
}

const patienceMs = 60_000
const askAgainMs = 20

/**
 * Uses the server on `folder`, which is made and started when it is not there.
 * @throws EmbeddedDatabaseError with the remedy
 */
export async function openEmbedded({ folder, onError, quietSeconds = 20 }: EmbeddedOptions): Promise<EmbeddedServer> {
  const place = { folder, log: `${folder}.log`, lock: `${folder}.lock`, quietSeconds }
  let address: Address
  let client: pg.Client
  try {
    address = await addressOf(place)
    client = await comeIn(address)
  } catch (error) {
    throw await explain(error, folder, place.log)
  }

  let isClosed = false
  const closing = new AbortController()
  let returning: Promise<void> | null = null
  returnWhenLost()

  function returnWhenLost() {
    client.once('end', () => {
      if (!isClosed) returning = comeBack()
    })
  }

  async function comeBack(): Promise<void> {
    for (let pauseMs = 100; !isClosed; pauseMs = Math.min(5000, pauseMs * 2)) {
      try {
        client = await comeIn(address)
        return returnWhenLost()
      } catch (error) {
        onError(await explain(error, folder, place.log))
        await pause(pauseMs, undefined, { signal: closing.signal }).catch(() => {})
      }
    }
  }

  return {
    connection: address.connection,
    async close() {
      isClosed = true
      closing.abort()
      await returning
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
 * As `openEmbedded` where there is a cluster already, else `null`; for looking at it once.
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

/** Resolves to a connection that marks the server as used; starts the server when it does not run. */
async function comeIn(address: Address): Promise<pg.Client> {
  const until = performance.now() + patienceMs
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
      // The server may just end because it was not used any more.
      if (!isEnding(error) || performance.now() > until) throw error
      await pause(askAgainMs)
    }
  }
}

function isEnding(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ECONNREFUSED' || isTransient(error)
}

/** Waits until a server that was told to end has ended. */
async function untilGone(folder: string): Promise<void> {
  const until = performance.now() + patienceMs
  for (;;) {
    const pid = await readPid(folder)
    if (pid === null || (await runsOn(pid, folder)) === false || performance.now() > until) return
    await pause(askAgainMs)
  }
}
