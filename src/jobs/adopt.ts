import { type ObjectOrigin, readOrigin } from '../core/pairing/origin.ts'
import type { ObjectInfo, ObjectStore } from '../core/ports.ts'
import type { Adoptions } from '../db/adoptions.ts'

export interface AdoptOptions {
  store: ObjectStore
  adoptions: Adoptions
  now(): Date
  /** Nothing is changed. */
  isDry: boolean
  /** Told now and then how many objects were looked at. */
  onProgress(seen: number): void
  /** Told of every object that is, or would be, adopted. */
  onObject(line: string): void
}

export interface Adopted {
  /** Rows that were made. */
  adopted: number
  /** Rows that were there, and thought that their object was still to come. */
  completed: number
  /** Objects of which no row knows, and that say nothing of themselves. */
  unknown: number
  known: number
}

const atOnce = 500

/**
 * Makes rows of the objects that the database does not know, by what they say of themselves, and completes the uploads whose object
 * is whole. Changes nothing in the store; done again it finds nothing.
 */
export async function adopt({ store, adoptions, now, isDry, onProgress, onObject }: AdoptOptions): Promise<Adopted> {
  const found: Adopted = { adopted: 0, completed: 0, unknown: 0, known: 0 }
  let seen = 0
  let keys: string[] = []

  async function look(): Promise<void> {
    const states = await adoptions.statesOf(keys)
    for (const key of keys) await lookAt(key, states.get(key))
    seen += keys.length
    keys = []
    onProgress(seen)
  }

  async function lookAt(key: string, state: string | undefined): Promise<void> {
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

  /** Of one whose size the row knows otherwise it is left to its client. */
  async function complete(key: string, info: ObjectInfo): Promise<void> {
    const isDone = isDry || (await adoptions.complete(key, info, now()))
    if (isDone) found.completed += 1
    if (isDone) onObject(`${key} is whole`)
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
    if (keys.length === atOnce) await look()
  }
  if (keys.length > 0) await look()
  return found
}
