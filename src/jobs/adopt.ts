import { type ObjectOrigin, readOrigin } from '../core/pairing/origin.ts'
import type { ObjectInfo, ObjectStore } from '../core/ports/object-store.ts'
import type { Adoptions } from '../db/uploads/adopt.ts'

export interface AdoptOptions {
  store: ObjectStore
  adoptions: Adoptions
  now(): Date
  /** Whether to change nothing and only report. */
  isDry: boolean
  /** Called periodically with the number of objects that were checked. */
  onProgress(checked: number): void
  /** Called with a line for every object that is, or would be, adopted. */
  onObject(line: string): void
}

export interface Adopted {
  /** Rows that were created. */
  adopted: number
  /** Rows of unfinished uploads whose objects turned out to be complete. */
  completed: number
  /** Objects without a row and without origin metadata. */
  unknown: number
  known: number
}

const pageSize = 500

/**
 * Creates rows for objects that the database does not know, from their origin metadata, and completes unfinished uploads whose object
 * is complete. Changes nothing in the store. Idempotent.
 */
export async function adopt({ store, adoptions, now, isDry, onProgress, onObject }: AdoptOptions): Promise<Adopted> {
  const found: Adopted = { adopted: 0, completed: 0, unknown: 0, known: 0 }
  let checked = 0
  let keys: string[] = []

  async function checkPage(): Promise<void> {
    const states = await adoptions.statesOf(keys)
    for (const key of keys) await checkObject(key, states.get(key))
    checked += keys.length
    keys = []
    onProgress(checked)
  }

  async function checkObject(key: string, state: string | undefined): Promise<void> {
    if (state !== undefined && state !== 'receiving' && state !== 'finishing') {
      found.known += 1
      return
    }
    const info = await store.stat(key)
    if (!info) return
    if (state !== undefined) return complete(key, info)
    const origin = readOrigin(await store.originOf(key))
    if (!origin) {
      found.unknown += 1
      return
    }
    await insert(key, origin, info)
  }

  /** An upload whose row has another size is left to its client. */
  async function complete(key: string, info: ObjectInfo): Promise<void> {
    const isDone = isDry || (await adoptions.complete(key, info, now()))
    if (isDone) found.completed += 1
    if (isDone) onObject(`${key} is complete`)
  }

  async function insert(key: string, origin: ObjectOrigin, info: ObjectInfo): Promise<void> {
    const isDone = isDry || (await adoptions.insert(key, origin, info, now()))
    if (isDone) found.adopted += 1
    else found.known += 1
    if (isDone) onObject(`${key} of ${origin.ownerId}, ${info.size} bytes`)
  }

  for await (const key of store.list('')) {
    if (key.startsWith('.landfall/')) continue
    keys.push(key)
    if (keys.length === pageSize) await checkPage()
  }
  if (keys.length > 0) await checkPage()
  return found
}
