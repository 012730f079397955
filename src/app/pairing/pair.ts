/*
 * Makes and checks the pair of a store and a database: when a server starts, and on an operator's decision. The row is always written
 * before the marker, so a crash between the two leaves a pair that the next start completes or refuses.
 */
import { randomUUID } from 'node:crypto'
import { isUploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import { type Marker, type PairingRow, pairingStateOf, readMarker, writeMarker } from '../../core/pairing/marker.ts'
import { ObjectExists, type ObjectStore } from '../../core/ports/object-store.ts'
import type { Pairings } from '../../db/pairing.ts'

/** The store is not paired with this database. The message says what to do. */
export class StoreMismatch extends Error {
  override name = 'StoreMismatch'
  readonly code = 'STORE_MISMATCH'
}

/**
 * Pairs at the start: both have a pairing, or both are new.
 * @throws StoreMismatch; UploadError STORE_UNAVAILABLE while the store is not reachable or its volume may not be mounted yet
 */
export async function pair(pairings: Pairings, store: ObjectStore): Promise<PairingRow> {
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
