/*
 * What the store has, or may have, of one upload while its row does not name it. A lease holder enters an object or a multipart upload
 * before it asks the store to make it. The entry is deleted when a save names it in the row, or when the store has removed it. If there
 * are entries when the lease is released, the same statement marks the row as needing clean-up. If the holder dies first, its lease
 * expires, and the next holder marks the row.
 *
 * The states of an object:
 *
 *   writing    the store was asked to write it and has not answered
 *   written    the store has it, and a save may name it
 *   dropped    the store has it, and no save will name it: it can be removed
 *   removing   the store was asked to remove it
 *   failed     the write failed. The store may have the object, or may still write it, so its removal does not settle the entry
 *   unknown    a save failed, so the row may name it or not: it must not be removed
 *
 *   writing → written → dropped → removing → (removed)     writing → failed → unknown     written → (named by a save) | unknown
 *   (named by the row) → dropped, by a save that ends this; → unknown, when that save failed
 */
import { ObjectExists } from './ports/object-store.ts'
import type { UploadPatch } from './ports/uploads.ts'
import { hasEnded, type MultipartId, type UploadRecord } from './upload.ts'

type ObjectState = 'writing' | 'written' | 'dropped' | 'removing' | 'failed' | 'unknown'

/** The columns of a row that name something in the store. */
type NamingColumns = Pick<UploadRecord, 'key' | 'state' | 'tail' | 'multipartId'>
type LedgerRow = NamingColumns & Pick<UploadRecord, 'needsCleanup'>

/** The orphaned objects of one upload, from the time its lease is taken until it is released. */
export class OrphanLedger {
  readonly #row: NamingColumns
  /** Nothing was left in the store when the lease was taken. */
  readonly #isComplete: boolean
  readonly #objects = new Map<string, ObjectState>()
  /** Multipart uploads by key. Of a `duplicated` one there may be a second, whose id is unknown. */
  readonly #multiparts = new Map<string, 'expected' | 'duplicated'>()

  /** @param row as it was read; follows every save */
  constructor(row: LedgerRow) {
    this.#row = row
    this.#isComplete = !row.needsCleanup
  }

  /** Whether the store surely has nothing that the row does not name. */
  get isEmpty(): boolean {
    return this.#objects.size === 0 && this.#multiparts.size === 0
  }

  /** Runs `write`, which makes an object at `key`. */
  async writing<T>(key: string, write: () => Promise<T>): Promise<T> {
    this.#objects.set(key, 'writing')
    try {
      const written = await write()
      this.#objects.set(key, 'written')
      return written
    } catch (error) {
      // Other bytes were at the key already: nothing was written.
      if (error instanceof ObjectExists) this.#objects.delete(key)
      else this.#objects.set(key, 'failed')
      throw error
    }
  }

  /** The store turned out to have an object at `key`. */
  found(key: string): void {
    if (!this.#objects.has(key)) this.#objects.set(key, 'written')
  }

  /** Runs `create`, which creates a multipart upload at `key` and calls `onAmbiguousCreate` when there may be a second one. */
  creating(key: string, create: (onAmbiguousCreate: () => void) => Promise<MultipartId>): Promise<MultipartId> {
    if (!this.#multiparts.has(key)) this.#multiparts.set(key, 'expected')
    return create(() => void this.#multiparts.set(key, 'duplicated'))
  }

  /** Whether the store may have a multipart upload at `key` that the row does not name. */
  mayHaveMultipart(key: string): boolean {
    return this.#multiparts.has(key)
  }

  /** No save will name these objects. An object that the row names is dropped by the save that ends this. */
  drop(keys: string[]): void {
    for (const key of keys) if (this.#objects.get(key) === 'written') this.#objects.set(key, 'dropped')
  }

  /** The objects to be removed from the store now. Each is returned once. */
  takeDropped(): string[] {
    const keys: string[] = []
    for (const [key, state] of this.#objects) {
      if (state !== 'dropped' && state !== 'failed') continue
      this.#objects.set(key, state === 'dropped' ? 'removing' : 'unknown')
      keys.push(key)
    }
    return keys
  }

  /** The store has removed these objects. */
  removed(keys: string[]): void {
    for (const key of keys) if (this.#objects.get(key) === 'removing') this.#objects.delete(key)
  }

  /** The orphaned objects, when nothing of the upload is left after their removal; `null`: the store has to be searched. */
  exactKeys(): string[] | null {
    const isExact =
      this.#isComplete && [...this.#objects.values()].every((state) => state === 'dropped' || state === 'removing')
    return isExact && this.#multiparts.size === 0 ? [...this.#objects.keys()] : null
  }

  /** Whether there are entries once `patch` is saved. */
  hasEntriesAfter(patch: UploadPatch): boolean {
    const { after, dropped, lostMultipart } = this.#changesOf(patch)
    return (
      dropped.length > 0 ||
      lostMultipart !== null ||
      [...this.#objects.keys()].some((key) => !after.objects.has(key)) ||
      [...this.#multiparts].some(([key, state]) => state === 'duplicated' || key !== after.multipart)
    )
  }

  /** Runs `save`, which saves `patch`. The caller runs one save at a time. */
  async saving<T>(patch: UploadPatch, save: () => Promise<T>): Promise<T> {
    const { after, dropped, lostMultipart } = this.#changesOf(patch)
    // Only the clean-up of an ended upload decides about the file itself.
    const file = this.#row.key
    try {
      const saved = await save()
      for (const key of dropped) this.#objects.set(key, key === file ? 'unknown' : 'dropped')
      for (const key of after.objects) this.#objects.delete(key)
      if (after.multipart !== null && this.#multiparts.get(after.multipart) === 'expected')
        this.#multiparts.delete(after.multipart)
      return saved
    } catch (error) {
      for (const key of [...dropped, ...after.objects]) {
        const isEntered = this.#objects.has(key) || dropped.includes(key)
        if (isEntered) this.#objects.set(key, 'unknown')
      }
      throw error
    } finally {
      if (lostMultipart !== null) this.#multiparts.set(lostMultipart, 'expected')
    }
  }

  /** What the row names once `patch` is saved, and what it ceases to name. */
  #changesOf(patch: UploadPatch): { after: Names; dropped: string[]; lostMultipart: string | null } {
    const before = namesOf(this.#row)
    const after = namesOf({ ...this.#row, ...namingColumns(patch) })
    // The store makes the object of a completed upload of its multipart upload.
    const keepsMultipart = after.isCompleted || after.multipart === before.multipart
    return {
      after,
      dropped: [...before.objects].filter((key) => !after.objects.has(key)),
      lostMultipart: keepsMultipart ? null : before.multipart,
    }
  }
}

interface Names {
  objects: Set<string>
  /** The key of the multipart upload. */
  multipart: string | null
  isCompleted: boolean
}

function namesOf({ key, state, tail, multipartId }: NamingColumns): Names {
  const isCompleted = state === 'completed'
  if (hasEnded({ state })) return { objects: new Set(isCompleted ? [key] : []), multipart: null, isCompleted }
  const objects = new Set(tail.map((tailObject) => tailObject.key))
  return { objects, multipart: multipartId === null ? null : key, isCompleted }
}

/** Of `patch` the columns that it changes; a multipart id is never taken back. */
function namingColumns({ key, state, tail, multipartId }: UploadPatch): Partial<NamingColumns> {
  return {
    ...(key !== undefined && { key }),
    ...(state !== undefined && { state }),
    ...(tail !== undefined && { tail }),
    ...(multipartId && { multipartId }),
  }
}
