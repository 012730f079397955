/*
 * The store and the database of one server, held against each other: at the start, before what matters, after what is hard to
 * believe, and when a balancer asks. See "Loss is established, never assumed" in ARCHITECTURE.md.
 */
import { randomUUID } from 'node:crypto'
import { isUploadError, NotReady, UploadError } from './core/errors/error.ts'
import type { StoreLink } from './core/pairing/guarded-store.ts'
import {
  type Marker,
  type PairingRow,
  type PairingState,
  pairingStateOf,
  probeKey,
  readMarker,
  writeMarker,
} from './core/pairing/marker.ts'
import { ObjectExists, type ObjectStore } from './core/ports.ts'
import type { Pairings } from './db/pairing.ts'

export interface Pairing extends StoreLink {
  /** For a creation: nothing is begun while an operator has to decide. @throws UploadError STORE_UNAVAILABLE */
  confirmForCreation(): Promise<void>
  /** Whether background work may end and remove anything now. */
  mayRemove(): Promise<boolean>
  /** The moment at which time stands still; `null`: it goes on. */
  restoredAt(): Date | null
  /**
   * Whether an upload would succeed now: writes a small object the way uploads go and looks for it, now and then and after a write
   * that failed. @throws NotReady with the reason; UploadError DATABASE_ERROR
   */
  check(): Promise<void>
  /** Counts on, in the database and then in the store, if something happened; once a minute, and soon after a write. */
  advance(): Promise<void>
  /** Counts a last time: a backup of the database that is made now is as old as the store. */
  close(): Promise<void>
}

export interface PairingOptions {
  pairings: Pairings
  store: ObjectStore
  /** Told whenever the standing changes. */
  onChange?(pairingState: PairingState): void
  /** Told what went wrong where nobody waits for an answer. */
  onFault?(error: unknown): void
}

/** The store cannot be this database's. Its message says what to do. */
export class PairingRefused extends Error {
  override name = 'PairingRefused'
  readonly code = 'STORE_MISMATCH'
}

// The row changes when an operator decides, and when a database is restored.
const rowFreshMs = 10_000
const removalFreshMs = 1000
// How long a marker that was right is believed to be so: a local one costs nothing to read, one in a bucket costs a request.
const localFreshMs = 50
const farFreshMs = 10_000
const failedFreshMs = 250
const probeEveryMs = 10_000
// What happened since the last count cannot be told from a database that was restored to before it.
const countSoonMs = 5000
const lastCountMs = 3000

/**
 * Finds the pair, or makes one of a database and a store that are both new.
 * @throws PairingRefused; UploadError STORE_UNAVAILABLE while the store is not there, R2_ERROR when it cannot be used, DATABASE_ERROR
 */
export async function openPairing({
  pairings,
  store,
  onChange,
  onFault: onError = () => {},
}: PairingOptions): Promise<Pairing> {
  const freshMs = store.name === 'local' ? localFreshMs : farFreshMs
  let row = await pair(pairings, store)
  let rowAt = performance.now()
  let pairingState: PairingState = { is: 'paired' }
  let markerAt = Number.NEGATIVE_INFINITY
  let bothAt = Number.NEGATIVE_INFINITY
  let contentPolicy: Promise<void> | null = null
  let probedAt = Number.NEGATIVE_INFINITY
  let lastChange = -1
  let known: string | null = null
  let soon: NodeJS.Timeout | undefined
  let advancing: Promise<void> | null = null
  // The counter whose marker this server was writing last.
  let unmarked = -1
  let seenCounter = -1

  /** Reads the marker, and the row when it is not fresh, or must be. */
  async function refreshState(needsRow: boolean): Promise<void> {
    const startedAt = performance.now()
    if (needsRow || startedAt - rowAt > rowFreshMs) {
      // A database that is away for a moment says nothing about the store.
      const found = await pairings.find().catch((error: unknown) => (needsRow ? Promise.reject(error) : row))
      if (!found) return set({ is: 'apart', reason: noRow }, startedAt)
      row = found
      rowAt = startedAt
    }
    const place = (await store.place?.()) ?? null
    const marker = await readMarker(store)
    const next = pairingStateOf(row, marker)
    seenCounter = marker?.counter ?? -1
    // The counter may have gone up in both since the row was read.
    if (next.is === 'restored' && !needsRow) return refreshState(true)
    if (next.is !== 'apart') await stayAt(place)
    set(next, startedAt)
    if (needsRow) bothAt = startedAt
  }

  /** The marker was read in `place`, if that is still there: what is written elsewhere is not acknowledged. */
  async function stayAt(place: string | null): Promise<void> {
    if (place === null || place === known) return
    if ((await store.place?.()) !== place) return
    known = place
    store.stayAt?.(place)
  }

  function set(next: PairingState, at: number): void {
    const isNews = next.is !== pairingState.is
    pairingState = next
    markerAt = at
    if (isNews) onChange?.(next)
  }

  function pairingRefused(): void {
    if (pairingState.is === 'apart') throw storeUnavailable(pairingState.reason)
  }

  async function confirm(): Promise<void> {
    const age = performance.now() - markerAt
    if (age > (pairingState.is === 'apart' ? failedFreshMs : freshMs)) {
      contentPolicy ??= refreshState(false).finally(() => {
        contentPolicy = null
      })
      await contentPolicy
    }
    pairingRefused()
  }

  async function confirmAnew(): Promise<void> {
    await refreshState(false)
    pairingRefused()
  }

  /** In another store everything that was written since the last look would be missing. A local one compares places by itself. */
  async function confirmWritten(): Promise<void> {
    if (known !== null) return
    const writtenAt = performance.now()
    // A look that began before the write says nothing of it; those who wait meanwhile share the next one.
    while (markerAt < writtenAt) {
      contentPolicy ??= refreshState(false).finally(() => {
        contentPolicy = null
      })
      await contentPolicy
    }
    pairingRefused()
  }

  async function confirmForRemoval(): Promise<void> {
    if (performance.now() - bothAt > removalFreshMs) await refreshState(true)
    pairingRefused()
    if (pairingState.is === 'restored') throw storeUnavailable(pairingState.reason)
  }

  async function probe(): Promise<void> {
    if (performance.now() - probedAt < probeEveryMs) return
    const bytes = Buffer.from(`${new Date().toISOString()}\n`)
    const startedAt = performance.now()
    await store.put(probeKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'text/plain' })
    // A finished file is looked for with the same call.
    if ((await store.stat(probeKey)) === null) throw new NotReady('the store does not find what was just written to it')
    probedAt = startedAt
  }

  function advanceSoon(): void {
    soon = undefined
    advance().catch(onError)
  }

  function advance(): Promise<void> {
    advancing ??= countOn().finally(() => {
      advancing = null
    })
    return advancing
  }

  async function countOn(): Promise<void> {
    const last = await pairings.lastChange()
    if (last === lastChange) return
    await refreshState(true)
    if (pairingState.is !== 'paired') return
    const { storeId, counter, markedCounter } = row
    // A server that died after it had written the marker.
    if (markedCounter < counter && seenCounter === counter) await pairings.confirm(storeId, counter)
    const isBehind = markedCounter < counter && seenCounter < counter
    const next = await (isBehind ? pairings.resume(counter, unmarked === counter) : pairings.advance(counter))
    if (!next) return
    row = next
    unmarked = next.counter
    await writeMarker(store, next)
    await pairings.confirm(next.storeId, next.counter)
    // What was seen before a marker that had to be written again is counted the next time.
    if (!isBehind) lastChange = last
  }

  await refreshState(true)
  return {
    confirm,
    confirmAnew,
    confirmWritten,
    doubt() {
      probedAt = Number.NEGATIVE_INFINITY
    },
    confirmForRemoval,
    async confirmForCreation() {
      await confirm()
      if (pairingState.is === 'restored') throw storeUnavailable(pairingState.reason)
    },
    async mayRemove() {
      await refreshState(true)
      return pairingState.is === 'paired'
    },
    restoredAt: () => (pairingState.is === 'restored' ? row.advancedAt : null),
    async check() {
      await tellable(async () => {
        await refreshState(true)
        if (pairingState.is !== 'paired') throw new NotReady(pairingState.reason)
        await store.check()
        await probe()
      })
    },
    advance,
    wrote() {
      soon ??= setTimeout(advanceSoon, countSoonMs).unref()
    },
    async close() {
      clearTimeout(soon)
      // A store or a database that is away holds no server up that is to end.
      const { promise, resolve } = Promise.withResolvers<void>()
      const patience = setTimeout(resolve, lastCountMs)
      await Promise.race([advance().catch(onError), promise])
      clearTimeout(patience)
    },
  }
}

/** Does `work`; what the store refuses is told in words that hold no names. @throws NotReady */
async function tellable(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isUploadError(error, 'STORE_UNAVAILABLE', 'R2_ERROR')) throw error
    throw new NotReady(`the store cannot be used: ${whatItSaid(error)}`, { cause: error })
  }
}

function whatItSaid({ facts, message }: UploadError): string {
  const { operation, storeStatus, storeCode, code } = facts
  if (storeStatus === 0) return `${operation} is not answered (${storeCode})`
  if (storeStatus !== undefined) return `${operation} is answered with ${storeStatus} ${storeCode}`
  return code === undefined ? message : `the file system says ${code}`
}

const noRow = 'the database does not know its store any more: it was replaced; start the server anew'

/** At the start: both are there, or both are new. */
async function pair(pairings: Pairings, store: ObjectStore): Promise<PairingRow> {
  const found = await pairings.find()
  // The folders of a store that is known are never made again: they would lie below the mount point of a volume that is gone.
  if (!found) await store.prepare?.()
  const trouble = await store.check().then(
    () => null,
    (error: unknown) => error,
  )
  // A volume that is not mounted takes no bytes either, and that is the lesser half of what an operator should know.
  const isElsewhere = found?.isMarked && isUploadError(trouble, 'STORE_UNAVAILABLE') && !(await readMarker(store))
  if (trouble && !isElsewhere) throw trouble
  const marker = await readMarker(store)
  if (!found && marker) {
    // Another server that starts at the same time was quicker: the row is written before the marker.
    if (await pairings.find()) return pair(pairings, store)
    throw new PairingRefused(
      'the store belongs to another database, and this one does not know it. If this is the wrong store or the wrong database, change STORE, S3_* or DATABASE_URL; if the database was lost, run `landfall restore adopt`; if the store is to serve this database from now on, run `landfall store pair --replace`',
    )
  }
  if (!found) await assertNotEmptied(pairings, store)
  const row = found ?? (await pairings.insert(newMarker()))
  if (row.isMarked && !found) return pair(pairings, store)
  if (row.isMarked) {
    const pairingState = pairingStateOf(row, marker)
    // It may be mounted in a moment.
    if (pairingState.is === 'apart' && !marker) throw storeUnavailable(pairingState.reason, { isForOperator: true })
    if (pairingState.is === 'apart') throw new PairingRefused(pairingState.reason)
    await store.prepare?.()
    return row
  }
  // A start that was cut off after the row, or another server that starts at the same time.
  return mark(row, pairings, store)
}

/** Writes the marker of a row that has none in the store yet. @throws PairingRefused when there is another one */
export async function mark(row: PairingRow, pairings: Pairings, store: ObjectStore): Promise<PairingRow> {
  try {
    await writeMarker(store, row, { isNew: true })
  } catch (error) {
    if (!(error instanceof ObjectExists)) throw error
    if ((await readMarker(store))?.storeId !== row.storeId)
      throw new PairingRefused('another database has taken the store just now', { cause: error })
  }
  await pairings.confirm(row.storeId, row.counter)
  return { ...row, isMarked: true, markedCounter: row.counter }
}

/**
 * Makes a pair of database and store as an operator says, whatever both say: one epoch and one count further than either. The row
 * comes first, so that what is cut off in between is refused and not believed.
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

/** Uploads without a pair come from before there were markers: then some of their objects must be there. */
async function assertNotEmptied(pairings: Pairings, store: ObjectStore): Promise<void> {
  const { keys } = await pairings.uploads()
  if (keys.length === 0) return
  for (const key of keys) if ((await store.stat(key)) !== null) return
  throw new PairingRefused(
    `the database knows of completed uploads, and the store has none of the last ${keys.length}: this is another store, or its volume is not mounted. If that is meant, run \`landfall store pair --replace\``,
  )
}

/** A pair that there never was. */
export function newMarker() {
  return { storeId: randomUUID(), databaseId: randomUUID(), epoch: 1, counter: 1 }
}

function storeUnavailable(reason: string, { isForOperator = false } = {}): UploadError {
  const message = isForOperator
    ? reason
    : 'The files of this server cannot be reached at the moment. Please try again later.'
  return new UploadError('STORE_UNAVAILABLE', message, { reason })
}
