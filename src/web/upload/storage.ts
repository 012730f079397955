import type { KeyValueStorage } from '../../client/memory.ts'

/** What is kept on this device. Where the browser forbids it: as long as the page is open. */
export const deviceStorage = storageOf(() => localStorage)
/** What is kept in this tab; the same. */
export const tabStorage = storageOf(() => sessionStorage)

/** Puts `value` on `shelf`. One that is full only means that it is not there after a reload. */
export function store(storage: KeyValueStorage, key: string, value: string): void {
  try {
    storage.setItem(key, value)
  } catch {
    // Full.
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
