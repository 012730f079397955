import type { ObjectStore } from '../../src/core/ports/object-store.ts'

/** A store that fails on demand, like the memory store. */
export interface TroubledStore extends ObjectStore {
  /** Called before (`at` 'before') and after the effect of every call that reads or changes objects. Throwing fails the call. */
  fault: (call: string, at: 'before' | 'after', key: string) => void | Promise<void>
}

/** Wraps `store`; initially it does not fail. */
export function troubled(store: ObjectStore): TroubledStore {
  async function call<T>(name: string, key: string, work: () => Promise<T>): Promise<T> {
    await wrapped.fault(name, 'before', key)
    const result = await work()
    await wrapped.fault(name, 'after', key)
    return result
  }

  const wrapped: TroubledStore = {
    name: store.name,
    limits: store.limits,
    fault: () => {},
    ...(store.prepare && { prepare: () => store.prepare!() }),
    check: () => store.check(),
    createMultipart: (key, metadata) => call('createMultipart', key, () => store.createMultipart(key, metadata)),
    uploadPart: (key, multipartId, number, bytes) =>
      call('uploadPart', key, () => store.uploadPart(key, multipartId, number, bytes)),
    copyPart: (key, multipartId, number, source) =>
      call('copyPart', key, () => store.copyPart(key, multipartId, number, source)),
    completeMultipart: (key, multipartId, parts) =>
      call('completeMultipart', key, () => store.completeMultipart(key, multipartId, parts)),
    abortMultipart: (key, multipartId) => call('abortMultipart', key, () => store.abortMultipart(key, multipartId)),
    put: (key, bytes, metadata) => call('put', key, () => store.put(key, bytes, metadata)),
    originOf: (key) => store.originOf(key),
    stat: (key) => call('stat', key, () => store.stat(key)),
    async *read(key, range) {
      await wrapped.fault('read', 'before', key)
      yield* store.read(key, range)
    },
    remove: (keys) => call('remove', keys[0] ?? '', () => store.remove(keys)),
    list: (prefix) => store.list(prefix),
    close: () => store.close(),
  }
  return wrapped
}
