import { isUploadError } from '../errors/error.ts'
import { NoSuchKey, NoSuchUpload, type ObjectStore } from '../ports/object-store.ts'

/** Checks that the store is the one that belongs to the database. Each `confirm…` throws UploadError STORE_UNAVAILABLE when it is not. */
export interface StoreLink {
  /** The result of a recent check is good enough. */
  confirm(): Promise<void>
  /** Checks now, because the store has just reported something that it would also report if it were another store. */
  recheck(): Promise<void>
  /** Called after a write: makes a check that begins after it, unless the store itself guarantees where the bytes went. */
  confirmWritten(): Promise<void>
  /** An object was written, and the database will soon name it. */
  noteWrite(): void
  /** A write failed: readiness checks must try a write before they report the store as ready. */
  noteFailedWrite(): void
  /** Throws also when the database is older than the store. */
  confirmForRemoval(): Promise<void>
}

/**
 * `store`, guarded by its marker. A report that something is missing is passed on only while the marker is there; nothing is written, and
 * no write is acknowledged, without the marker; and nothing is removed for a database that was restored from a backup. Otherwise an
 * unmounted volume or a wrong bucket would be taken for the loss of all uploads or would receive new ones, and objects that the restored
 * database does not know would be removed.
 */
export function guardStore(store: ObjectStore, link: StoreLink): ObjectStore {
  async function write<T>(work: () => Promise<T>): Promise<T> {
    await link.confirm()
    try {
      return await confirmMissing(work)
    } catch (error) {
      if (isUploadError(error, 'STORE_UNAVAILABLE')) link.noteFailedWrite()
      throw error
    }
  }

  /** For calls that make an object. Unlike a part, which needs its multipart upload, an object can be written to a wrong store. */
  async function create<T>(work: () => Promise<T>): Promise<T> {
    const result = await write(work)
    await link.confirmWritten()
    link.noteWrite()
    return result
  }

  /** Passes on that something is missing only from the right store. */
  async function confirmMissing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof NoSuchUpload || error instanceof NoSuchKey) await link.recheck()
      throw error
    }
  }

  async function remove(work: () => Promise<void>): Promise<void> {
    await link.confirmForRemoval()
    return work()
  }

  return {
    ...store,
    async createMultipart(key, metadata) {
      const multipartId = await write(() => store.createMultipart(key, metadata))
      // If this fails, the caller never learns the id of the multipart upload.
      await link.confirmWritten().catch((error: unknown) => {
        metadata.onAmbiguousCreate?.()
        throw error
      })
      return multipartId
    },
    uploadPart: (...args) => write(() => store.uploadPart(...args)),
    copyPart: (...args) => write(() => store.copyPart(...args)),
    completeMultipart: (...args) => create(() => store.completeMultipart(...args)),
    put: (...args) => create(() => store.put(...args)),
    abortMultipart: (...args) => remove(() => store.abortMultipart(...args)),
    remove: (keys) => (keys.length === 0 ? Promise.resolve() : remove(() => store.remove(keys))),
    async stat(key) {
      const found = await store.stat(key)
      if (found === null) await link.recheck()
      return found
    },
    async *read(...args) {
      try {
        yield* store.read(...args)
      } catch (error) {
        if (error instanceof NoSuchKey) await link.recheck()
        throw error
      }
    },
    async *list(prefix) {
      await link.confirm()
      yield* store.list(prefix)
    },
  }
}
