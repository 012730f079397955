import type { KeyValueStorage } from '../../client/memory.ts'

/** Storage of this device. Where the browser denies it, values last while the page is open. */
export const deviceStorage = storageOf(() => localStorage)
/** Storage of this tab; with the same fallback. */
export const tabStorage = storageOf(() => sessionStorage)

/** Stores `value`. If the storage is full, the value is missing after a reload. */
export function store(storage: KeyValueStorage, key: string, value: string): void {
  try {
    storage.setItem(key, value)
  } catch {
    // The storage is full.
  }
}

function storageOf(open: () => Storage): KeyValueStorage {
  try {
    return open()
  } catch {
    return memoryStorage()
  }
}

function memoryStorage(): KeyValueStorage {
  const entries = new Map<string, string>()
  return {
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, value),
    removeItem: (key) => void entries.delete(key),
    key: (index) => [...entries.keys()][index] ?? null,
    get length() {
      return entries.size
    },
  }
}
