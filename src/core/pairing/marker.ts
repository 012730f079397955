/*
 * A store and its database belong together. The marker in the store and a row in the database name each other, and a counter goes
 * up in both, in the database first: so a store that is not there, another store, and a database that is older than its store can be
 * told from a store that has lost something.
 */

import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { NoSuchKey, type ObjectStore } from '../ports/object-store.ts'

/** Where the marker lies. */
export const markerKey = '.landfall/store.json'
/** Where the object lies that a readiness check writes. */
export const probeKey = '.landfall/probe'

/** Whether an object is the server's own: the marker, or what a readiness check writes. It belongs to no upload. */
export function isServersOwn(key: string): boolean {
  return key === markerKey || key === probeKey
}

/** What the store says of itself. */
export interface Marker {
  storeId: string
  databaseId: string
  /** Goes up with every restore that an operator accepted. */
  epoch: number
  /** Never more than the database's. */
  counter: number
}

/** What the database says of its store. */
export interface PairingRow extends Marker {
  /** When the counter last went up, by the database's clock. */
  advancedAt: Date
  /** Whether the marker is known to have been written. */
  isMarked: boolean
  /** The counter that the marker is known to have had. */
  markedCounter: number
}

/**
 * How store and database stand to each other. `apart`: this is not the store, an older copy of it, or it is not there; `restored`: the database is older
 * than the store. `reason` is for operators and for `/readyz`.
 */
export type PairingState = { is: 'paired' } | { is: 'restored' | 'apart'; reason: string }

const longest = 4096

/** The marker in the store; `null` when there is none. @throws UploadError STORE_UNAVAILABLE, also for one that cannot be read */
export async function readMarker(store: ObjectStore): Promise<Marker | null> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of store.read(markerKey)) {
      size += chunk.length
      if (size > longest) throw unreadable()
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof NoSuchKey) return null
    throw error
  }
  return parse(Buffer.concat(chunks).toString())
}

/** Writes the marker. `isNew`: unless there is another one. @throws ObjectExists, UploadError STORE_UNAVAILABLE */
export async function writeMarker(
  store: ObjectStore,
  { storeId, databaseId, epoch, counter }: Marker,
  { isNew = false } = {},
): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ storeId, databaseId, epoch, counter })}\n`)
  await store.put(markerKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'application/json', isNew })
}

// A server that was held up for minutes may write its marker after a later one; see `advance` in pairing.ts.
const mayLag = 1

/** How a database with this row stands to a store with this marker. */
export function pairingStateOf(row: PairingRow, marker: Marker | null): PairingState {
  if (!marker)
    return mismatch(
      'the store has no marker: its volume is not mounted, it was emptied, or this is another bucket or prefix; if it was replaced on purpose, run `landfall store pair --replace`',
    )
  if (marker.storeId !== row.storeId || marker.databaseId !== row.databaseId)
    return mismatch(
      'the marker in the store is that of another database: this is the wrong volume, bucket or prefix; if it is meant, run `landfall store pair --replace`',
    )
  if (marker.epoch > row.epoch || marker.counter > row.counter)
    return {
      is: 'restored',
      reason: `the database is older than its store (${row.counter} of ${marker.counter}): it was restored from a backup; nothing expires and nothing is deleted until \`landfall restore accept\` or \`landfall restore adopt\` has been run`,
    }
  if (marker.epoch === row.epoch && marker.counter < row.markedCounter - mayLag)
    return mismatch(
      `the store is older than its database (${marker.counter} of ${row.markedCounter}): an older copy of it was put in its place; put the right one back, or, if there is no other, run \`landfall store pair --replace\``,
    )
  return { is: 'paired' }
}

function mismatch(reason: string): PairingState {
  return { is: 'apart', reason }
}

function parse(text: string): Marker {
  try {
    const { storeId, databaseId, epoch, counter } = JSON.parse(text) as Marker
    if (typeof storeId === 'string' && typeof databaseId === 'string')
      if (Number.isSafeInteger(epoch) && Number.isSafeInteger(counter)) return { storeId, databaseId, epoch, counter }
  } catch {
    // Below.
  }
  throw unreadable()
}

function unreadable(): UploadError {
  return errors.markerUnreadable({ marker: markerKey })
}
