/*
 * A store and its database are paired. The marker, an object in the store, and a row in the database hold the ids of both and a counter,
 * which is increased in the database first and then in the marker. By comparing the two, the server tells a store that has lost objects
 * from a store that is not mounted, from another store or an older copy of it, and from a database that is older than its store.
 */

import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { NoSuchKey, type ObjectStore } from '../ports/object-store.ts'

/** The key of the marker. */
export const markerKey = '.landfall/store.json'
/** The key of the object that readiness checks write. */
export const probeKey = '.landfall/probe'

/** Whether the object belongs to the server and to no upload: the marker, or the object that readiness checks write. */
export function isServersOwn(key: string): boolean {
  return key === markerKey || key === probeKey
}

/** The content of the marker. */
export interface Marker {
  storeId: string
  databaseId: string
  /** Increased with every restore that an operator accepts. */
  epoch: number
  /** Never more than that of the row. */
  counter: number
}

/** The row that the database has of its store. */
export interface PairingRow extends Marker {
  /** When the counter was last increased, by the database's clock. */
  advancedAt: Date
  /** Whether the marker is known to have been written. */
  isMarked: boolean
  /** The highest counter that the marker is known to have had. */
  markedCounter: number
}

/**
 * Whether the store belongs to the database. `mismatched`: it is not mounted, another store, or an older copy. `restored`: the database
 * is older than its store. `reason` is for operators and for `/readyz`.
 */
export type PairingState = { state: 'paired' } | { state: 'restored' | 'mismatched'; reason: string }

const maxMarkerBytes = 4096

/** The marker in the store; `null` when there is none. @throws UploadError STORE_UNAVAILABLE, also for an invalid marker */
export async function readMarker(store: ObjectStore): Promise<Marker | null> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of store.read(markerKey)) {
      size += chunk.length
      if (size > maxMarkerBytes) throw unreadable()
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof NoSuchKey) return null
    throw error
  }
  return parse(Buffer.concat(chunks).toString())
}

/** Writes the marker; with `isNew` only if there is none. @throws ObjectExists, UploadError STORE_UNAVAILABLE */
export async function writeMarker(
  store: ObjectStore,
  { storeId, databaseId, epoch, counter }: Marker,
  { isNew = false } = {},
): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ storeId, databaseId, epoch, counter })}\n`)
  await store.put(markerKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'application/json', isNew })
}

// A server that was paused for minutes may replace a later marker with its own; see `advance` in pairing.ts.
const maxLag = 1

/** The state of a database with this row and a store with this marker. */
export function pairingStateOf(row: PairingRow, marker: Marker | null): PairingState {
  if (!marker)
    return mismatched(
      'the store has no marker: its volume is not mounted, it was emptied, or this is another bucket or prefix; if it was replaced on purpose, run `landfall store pair --replace`',
    )
  if (marker.storeId !== row.storeId || marker.databaseId !== row.databaseId)
    return mismatched(
      'the marker in the store is that of another database: this is the wrong volume, bucket or prefix; if it is meant, run `landfall store pair --replace`',
    )
  if (marker.epoch > row.epoch || marker.counter > row.counter)
    return {
      state: 'restored',
      reason: `the database is older than its store (${row.counter} of ${marker.counter}): it was restored from a backup; nothing expires and nothing is deleted until \`landfall restore accept\` or \`landfall restore adopt\` has been run`,
    }
  if (marker.epoch === row.epoch && marker.counter < row.markedCounter - maxLag)
    return mismatched(
      `the store is older than its database (${marker.counter} of ${row.markedCounter}): an older copy of it was put in its place; put the right one back, or, if there is no other, run \`landfall store pair --replace\``,
    )
  return { state: 'paired' }
}

function mismatched(reason: string): PairingState {
  return { state: 'mismatched', reason }
}

function parse(text: string): Marker {
  try {
    const { storeId, databaseId, epoch, counter } = JSON.parse(text) as Marker
    if (typeof storeId === 'string' && typeof databaseId === 'string')
      if (Number.isSafeInteger(epoch) && Number.isSafeInteger(counter)) return { storeId, databaseId, epoch, counter }
  } catch {
    // Not JSON.
  }
  throw unreadable()
}

function unreadable(): UploadError {
  return errors.markerUnreadable({ marker: markerKey })
}
