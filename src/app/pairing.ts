/*
 * Compares the marker in the store with the row in the database, so that a server never works with the wrong store or with a database that
 * was restored from a backup: at the start, before operations that depend on it, after a response that suggests a loss, and for readiness.
 * See "Loss is established, never assumed" in ARCHITECTURE.md.
 */
import { randomUUID } from 'node:crypto'
import { isUploadError, NotReady, type UploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'
import type { StoreLink } from '../core/pairing/guarded-store.ts'
import {
  type Marker,
  type PairingRow,
  type PairingState,
  pairingStateOf,
  probeKey,
  readMarker,
  writeMarker,
} from '../core/pairing/marker.ts'
import { ObjectExists, type ObjectStore } from '../core/ports/object-store.ts'
import type { Pairings } from '../db/pairing.ts'

export interface Pairing extends StoreLink {
  /** Checked before a creation: no upload is created while an operator has to decide. @throws UploadError STORE_UNAVAILABLE */
  confirmForCreation(): Promise<void>
  /** Whether background work may end uploads and remove objects now. */
  mayRemove(): Promise<boolean>
  /** The time at which the clock stands still after a restore of the database; `null`: it runs. */
  restoredAt(): Date | null
  /**
   * Whether an upload would succeed now: every few seconds, and after a failed write, it writes a small object and looks it up.
   * @throws NotReady with the reason; UploadError DATABASE_ERROR
   */
  check(): Promise<void>
  /** Increments the counter in the database and then in the store, if anything changed; once a minute, and soon after a write. */
  advance(): Promise<void>
  /** Increments the counter a last time, so that a backup of the database made now matches the store. */
  close(): Promise<void>
}

export interface PairingOptions {
  pairings: Pairings
  store: ObjectStore
  /** Called whenever the state changes. */
  onChange?(pairingState: PairingState): void
  /** Called with errors of work in the background. */
  onError?(error: unknown): void
}

/** The store is not paired with this database. The message says what to do. */
export class StoreMismatch extends Error {
  override name = 'StoreMismatch'
  readonly code = 'STORE_MISMATCH'
}

// The row changes when an operator pairs or accepts, and when the database is restored.
const rowFreshMs = 10_000
const removalFreshMs = 1000
// How long a matching marker counts as current: reading a local one costs nothing, one in a bucket costs a request.
const localFreshMs = 50
const remoteFreshMs = 10_000
const failedFreshMs = 250
const probeEveryMs = 10_000
// Changes since the last increment are not noticed when the database is restored to a time between the two.
const advanceSoonMs = 5000
const lastAdvanceMs = 3000

/**
 * Checks the pair, or makes one of a new database and a new store.
 * @throws StoreMismatch; UploadError STORE_UNAVAILABLE while the store is not reachable, R2_ERROR when it cannot be used, DATABASE_ERROR
 */
export async function openPairing({ pairings, store, onChange, onError = () => {} }: PairingOptions): Promise<Pairing> {
  const freshMs = store.volumeId ? localFreshMs : remoteFreshMs
  let row = await pair(pairings, store)
  let rowAt = performance.now()
  let pairingState: PairingState = { state: 'paired' }
  let markerAt = Number.NEGATIVE_INFINITY
  let bothAt = Number.NEGATIVE_INFINITY
  let refreshing: Promise<void> | null = null
  let probedAt = Number.NEGATIVE_INFINITY
  let lastChange = -1
  let pinnedVolume: string | null = null
  let soon: NodeJS.Timeout | undefined
  let advancing: Promise<void> | null = null
  // The counter of the marker that this server wrote last.
  let writtenCounter = -1
  let seenCounter = -1

  /** Reads the marker, and the row when it is not current or `needsRow`. */
  async function refreshState(needsRow: boolean): Promise<void> {
    const startedAt = performance.now()
    if (needsRow || startedAt - rowAt > rowFreshMs) {
      // A database that is not reachable says nothing about the store.
      const found = await pairings.find().catch((error: unknown) => (needsRow ? Promise.reject(error) : row))
      if (!found) return set({ state: 'mismatched', reason: noRow }, startedAt)
      row = found
      rowAt = startedAt
    }
    const volumeId = (await store.volumeId?.()) ?? null
    const marker = await readMarker(store)
    const next = pairingStateOf(row, marker)
    seenCounter = marker?.counter ?? -1
    // Both counters may have been incremented since the row was read.
    if (next.state === 'restored' && !needsRow) return refreshState(true)
    if (next.state !== 'mismatched') await pinVolume(volumeId)
    set(next, startedAt)
    if (needsRow) bothAt = startedAt
  }

  /** Binds the store to the volume where the marker was read, if that is still mounted: the store then refuses writes elsewhere. */
  async function pinVolume(volumeId: string | null): Promise<void> {
    if (volumeId === null || volumeId === pinnedVolume) return
    if ((await store.volumeId?.()) !== volumeId) return
    pinnedVolume = volumeId
    store.pinVolume?.(volumeId)
  }

  function set(next: PairingState, at: number): void {
    const hasChanged = next.state !== pairingState.state
    pairingState = next
    markerAt = at
    if (hasChanged) onChange?.(next)
  }

  function assertPaired(): void {
    if (pairingState.state === 'mismatched') throw errors.storeNotPaired({ reason: pairingState.reason })
  }

  async function confirm(): Promise<void> {
    const age = performance.now() - markerAt
    if (age > (pairingState.state === 'mismatched' ? failedFreshMs : freshMs)) {
      refreshing ??= refreshState(false).finally(() => {
        refreshing = null
      })
      await refreshing
    }
    assertPaired()
  }

  async function recheck(): Promise<void> {
    await refreshState(false)
    assertPaired()
  }

  /** A write since the last check may have gone to another store and be lost. A local store compares places itself. */
  async function confirmWritten(): Promise<void> {
    if (pinnedVolume !== null) return
    const writtenAt = performance.now()
    // A check that started before the write says nothing about it; writes that wait share the next check.
    while (markerAt < writtenAt) {
      refreshing ??= refreshState(false).finally(() => {
        refreshing = null
      })
      await refreshing
    }
    assertPaired()
  }

  async function confirmForRemoval(): Promise<void> {
    if (performance.now() - bothAt > removalFreshMs) await refreshState(true)
    assertPaired()
    if (pairingState.state === 'restored') throw errors.storeNotPaired({ reason: pairingState.reason })
  }

  async function probe(): Promise<void> {
    if (performance.now() - probedAt < probeEveryMs) return
    const bytes = Buffer.from(`${new Date().toISOString()}\n`)
    const startedAt = performance.now()
    await store.put(probeKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'text/plain' })
    // The check of a completed upload uses the same call.
    if ((await store.stat(probeKey)) === null) throw new NotReady('the store does not find what was just written to it')
    probedAt = startedAt
  }

  function advanceSoon(): void {
    soon = undefined
    advance().catch(onError)
  }

  function advance(): Promise<void> {
    advancing ??= increment().finally(() => {
      advancing = null
    })
    return advancing
  }

  async function increment(): Promise<void> {
    const last = await pairings.lastChange()
    if (last === lastChange) return
    await refreshState(true)
    if (pairingState.state !== 'paired') return
    const { storeId, counter, markedCounter } = row
    // Another server wrote the marker and died before it confirmed.
    if (markedCounter < counter && seenCounter === counter) await pairings.confirm(storeId, counter)
    const isBehind = markedCounter < counter && seenCounter < counter
    const next = await (isBehind ? pairings.resume(counter, writtenCounter === counter) : pairings.advance(counter))
    if (!next) return
    row = next
    writtenCounter = next.counter
    await writeMarker(store, next)
    await pairings.confirm(next.storeId, next.counter)
    // After a marker that had to be rewritten, changes are counted by the next increment.
    if (!isBehind) lastChange = last
  }

  await refreshState(true)
  return {
    confirm,
    recheck,
    confirmWritten,
    noteFailedWrite() {
      probedAt = Number.NEGATIVE_INFINITY
    },
    confirmForRemoval,
    async confirmForCreation() {
      await confirm()
      if (pairingState.state === 'restored') throw errors.storeNotPaired({ reason: pairingState.reason })
    },
    async mayRemove() {
      await refreshState(true)
      return pairingState.state === 'paired'
    },
    restoredAt: () => (pairingState.state === 'restored' ? row.advancedAt : null),
    async check() {
      await asNotReady(async () => {
        await refreshState(true)
        if (pairingState.state !== 'paired') throw new NotReady(pairingState.reason)
        await store.check()
        await probe()
      })
    },
    advance,
    noteWrite() {
      soon ??= setTimeout(advanceSoon, advanceSoonMs).unref()
    },
    async close() {
      clearTimeout(soon)
      // A store or a database that is not reachable must not keep the server from stopping.
      const { promise, resolve } = Promise.withResolvers<void>()
      const timeout = setTimeout(resolve, lastAdvanceMs)
      await Promise.race([advance().catch(onError), promise])
      clearTimeout(timeout)
    },
  }
}

/** Runs `work`; errors of the store become NotReady with a reason that contains no names. @throws NotReady */
async function asNotReady(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isUploadError(error, 'STORE_UNAVAILABLE', 'R2_ERROR')) throw error
    throw new NotReady(`the store cannot be used: ${reasonOf(error)}`, { cause: error })
  }
}

function reasonOf({ facts, message }: UploadError): string {
  const { operation, storeStatus, storeCode, code } = facts
  if (storeStatus === 0) return `${operation} got no response (${storeCode})`
  if (storeStatus !== undefined) return `${operation} was answered with ${storeStatus} ${storeCode}`
  return code === undefined ? message : `the file system returned ${code}`
}

const noRow = 'the database no longer has a row for its store: it was replaced; restart the server'

/** Pairs at the start: both have a pairing, or both are new. */
async function pair(pairings: Pairings, store: ObjectStore): Promise<PairingRow> {
  const found = await pairings.find()
  // Folders of a known store are never created again: they would be below the mount point of a volume that is not mounted.
  if (!found) await store.prepare?.()
  const error = await store.check().then(
    () => null,
    (thrown: unknown) => thrown,
  )
  // If the volume is not mounted, writes fail too; the missing marker is the better explanation for the operator.
  const lacksMarker = found?.isMarked && isUploadError(error, 'STORE_UNAVAILABLE') && !(await readMarker(store))
  if (error && !lacksMarker) throw error
  const marker = await readMarker(store)
  if (!found && marker) {
    // Another server paired them at the same time: the row is written before the marker.
    if (await pairings.find()) return pair(pairings, store)
    throw new StoreMismatch(
      'the store is paired with another database, and this database with no store. If this is the wrong store or the wrong database, change STORE, S3_* or DATABASE_URL. If the database was lost, run `landfall restore adopt`. To pair the store with this database, run `landfall store pair --replace`',
    )
  }
  if (!found) await assertNotEmptied(pairings, store)
  const row = found ?? (await pairings.insert(newMarker()))
  if (row.isMarked && !found) return pair(pairings, store)
  if (row.isMarked) {
    const pairingState = pairingStateOf(row, marker)
    // Without a marker the volume may not be mounted yet, so the start is retried.
    if (pairingState.state === 'mismatched' && !marker) throw errors.storeHasNoMarker({ reason: pairingState.reason })
    if (pairingState.state === 'mismatched') throw new StoreMismatch(pairingState.reason)
    await store.prepare?.()
    return row
  }
  // A start that ended after it wrote the row, or another server that starts at the same time.
  return mark(row, pairings, store)
}

/** Writes the marker of a row that has none in the store yet. @throws StoreMismatch when the store has another marker */
export async function mark(row: PairingRow, pairings: Pairings, store: ObjectStore): Promise<PairingRow> {
  try {
    await writeMarker(store, row, { isNew: true })
  } catch (error) {
    if (!(error instanceof ObjectExists)) throw error
    if ((await readMarker(store))?.storeId !== row.storeId)
      throw new StoreMismatch('another database was paired with the store at the same moment', { cause: error })
  }
  await pairings.confirm(row.storeId, row.counter)
  return { ...row, isMarked: true, markedCounter: row.counter }
}

/**
 * Pairs database and store on an operator's decision, whatever they were paired with: epoch and counter are higher than in either. The
 * row is written first: a crash in between leaves a pair that is refused.
 */
export async function replacePair(pairings: Pairings, store: ObjectStore, ids: Marker): Promise<void> {
  const [row, marker] = [await pairings.find(), await readMarker(store).catch(() => null)]
  const next = await pairings.replace({
    storeId: ids.storeId,
    databaseId: ids.databaseId,
    epoch: Math.max(row?.epoch ?? 0, marker?.epoch ?? 0, ids.epoch) + 1,
    counter: Math.max(row?.counter ?? 0, marker?.counter ?? 0, ids.counter) + 1,
  })
  await writeMarker(store, next)
  await pairings.confirm(next.storeId, next.counter)
}

/** A database with uploads but without a pair predates markers: then the store must have some of their objects. */
async function assertNotEmptied(pairings: Pairings, store: ObjectStore): Promise<void> {
  const keys = await pairings.newestKeys()
  if (keys.length === 0) return
  for (const key of keys) if ((await store.stat(key)) !== null) return
  throw new StoreMismatch(
    `the store has none of the objects of the last ${keys.length} completed uploads: this is another store, or its volume is not mounted. To pair it nevertheless, run \`landfall store pair --replace\``,
  )
}

/** A marker with new ids. */
export function newMarker() {
  return { storeId: randomUUID(), databaseId: randomUUID(), epoch: 1, counter: 1 }
}
