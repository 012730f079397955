import type { Shelf } from '../../client/memory.ts'

/** What is kept on this device. Where the browser forbids it: as long as the page is open. */
export const deviceShelf = shelfOf(() => localStorage)
/** What is kept in this tab; the same. */
export const tabShelf = shelfOf(() => sessionStorage)

/** Puts `value` on `shelf`. One that is full only means that it is not there after a reload. */
export function keep(shelf: Shelf, key: string, value: string): void {
  try {
    shelf.setItem(key, value)
  } catch {
    // Full.
  }
}

function shelfOf(open: () => Storage): Shelf {
  try {
    return open()
  } catch {
    return passingShelf()
  }
}

function passingShelf(): Shelf {
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
