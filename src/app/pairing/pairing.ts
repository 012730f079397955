/*
 * Compares the marker in the store with the row in the database, so that a server never works with the wrong store or with a database that
 * was restored from a backup: at the start, before operations that depend on it, after a response that suggests a loss, and for readiness.
 * See "Loss is established, never assumed" in ARCHITECTURE.md.
 */
import { NotReady } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { StoreLink } from '../../core/pairing/guarded-store.ts'
import { type PairingState, pairingStateOf, readMarker, writeMarker } from '../../core/pairing/marker.ts'
import type { ObjectStore } from '../../core/ports/object-store.ts'
import type { Pairings } from '../../db/pairing.ts'
import { pair } from './pair.ts'
import { asNotReady, probeOf } from './probe.ts'

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

const noRow = 'the database no longer has a row for its store: it was replaced; restart the server'
// The row changes when an operator pairs or accepts, and when the database is restored.
const rowFreshMs = 10_000
const removalFreshMs = 1000
// How long a matching marker counts as current: reading a local one costs nothing, one in a bucket costs a request.
const localFreshMs = 50
const remoteFreshMs = 10_000
const failedFreshMs = 250
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
  const probe = probeOf(store)
  let lastChange = -1
  let pinnedVolume: string | null = null
  let soon: NodeJS.Timeout | undefined
  let advancing: Promise<void> | null = null
  // The counter of the marker that this server wrote last.
  let writtenCounter = -1
  let seenCounter = -1

  /**
   * Reads the marker, and then the row when it is not current or `needsRow`. The counter of the row is always incremented first, so a row
   * that was read after the marker and has a lower counter is that of a restored database.
   */
  async function refreshState(needsRow: boolean): Promise<void> {
    const startedAt = performance.now()
    const volumeId = (await store.volumeId?.()) ?? null
    const marker = await readMarker(store)
    if (needsRow || startedAt - rowAt > rowFreshMs) {
      // A database that is not reachable says nothing about the store.
      const found = await pairings.find().catch((error: unknown) => (needsRow ? Promise.reject(error) : row))
      if (!found) return set({ state: 'mismatched', reason: noRow }, startedAt)
      row = found
      rowAt = startedAt
    }
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
      await refreshShared()
    }
    assertPaired()
  }

  /** Operations that wait share one refresh. */
  function refreshShared(): Promise<void> {
    refreshing ??= refreshState(false).finally(() => {
      refreshing = null
    })
    return refreshing
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
      await refreshShared()
    }
    assertPaired()
  }

  async function confirmForRemoval(): Promise<void> {
    if (performance.now() - bothAt > removalFreshMs) await refreshState(true)
    assertPaired()
    if (pairingState.state === 'restored') throw errors.storeNotPaired({ reason: pairingState.reason })
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
    noteFailedWrite: probe.expire,
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
        await probe.run()
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
