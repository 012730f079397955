import { isUploadError } from '../errors/error.ts'
import { NoSuchKey, NoSuchUpload, type ObjectStore } from '../ports/object-store.ts'

/** Knows whether the store is the one that belongs to the database. */
export interface StoreLink {
  /** @throws UploadError STORE_UNAVAILABLE when it was not, a moment ago */
  confirm(): Promise<void>
  /** Looks once more, after what was seen. @throws UploadError STORE_UNAVAILABLE when it is not */
  confirmAnew(): Promise<void>
  /** For what has just been written: looks from now on, unless the store itself vouches. @throws UploadError STORE_UNAVAILABLE */
  confirmWritten(): Promise<void>
  /** Something was written and will be said in the database in a moment. */
  wrote(): void
  /** A write failed: whether the store takes any is not known until one was tried. */
  doubt(): void
  /** @throws UploadError STORE_UNAVAILABLE when it is not, or when the database is older than the store */
  confirmForRemoval(): Promise<void>
}

/**
 * `store`, which is not believed when it says that something is not there, unless its marker is there; to which nothing is
 * written, and of what is written nothing acknowledged, without the marker; and from which nothing is removed for a database that was restored.
 */
export function guardStore(store: ObjectStore, link: StoreLink): ObjectStore {
  async function writes<T>(work: () => Promise<T>): Promise<T> {
    await link.confirm()
    try {
      return await believed(work)
    } catch (error) {
      if (isUploadError(error, 'STORE_UNAVAILABLE')) link.doubt()
      throw error
    }
  }

  /** For what does not go on from something that is there already: that would have been missed in another store. */
  async function creates<T>(work: () => Promise<T>): Promise<T> {
    const made = await writes(work)
    await link.confirmWritten()
    link.wrote()
    return made
  }

  async function believed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof NoSuchUpload || error instanceof NoSuchKey) await link.confirmAnew()
      throw error
    }
  }

  async function removes(work: () => Promise<void>): Promise<void> {
    await link.confirmForRemoval()
    return work()
  }

  return {
    ...store,
    async createMultipart(key, metadata) {
      const multipartId = await writes(() => store.createMultipart(key, metadata))
      // Whose name will not be known to anybody, if this fails.
      await link.confirmWritten().catch((error: unknown) => {
        metadata.onAmbiguousCreate?.()
        throw error
      })
      return multipartId
    },
    uploadPart: (...given) => writes(() => store.uploadPart(...given)),
    copyPart: (...given) => writes(() => store.copyPart(...given)),
    completeMultipart: (...given) => creates(() => store.completeMultipart(...given)),
    put: (...given) => creates(() => store.put(...given)),
    abortMultipart: (...given) => removes(() => store.abortMultipart(...given)),
    remove: (keys) => (keys.length === 0 ? Promise.resolve() : removes(() => store.remove(keys))),
    async stat(key) {
      const found = await store.stat(key)
      if (found === null) await link.confirmAnew()
      return found
    },
    async *read(...given) {
      try {
        yield* store.read(...given)
      } catch (error) {
        if (error instanceof NoSuchKey) await link.confirmAnew()
        throw error
      }
    },
    async *list(prefix) {
      await link.confirm()
      yield* store.list(prefix)
    },
  }
}
