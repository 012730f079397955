/** Where the browser keeps which upload a file belongs to. `localStorage` is one. */
export type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>

/** Remembers the upload of a file over reloads and crashes. */
export interface UploadMemory {
  /** The URL of the upload that was begun with this very file. */
  recall(fingerprint: string): string | null
  remember(fingerprint: string, url: string): void
  forget(fingerprint: string): void
  /** The file has arrived: it is forgotten, and for a moment other tabs that wait for it can ask for the URL it has. */
  markArrived(fingerprint: string, url: string): void
  arrived(fingerprint: string): string | null
}

/** What tells one chosen file from another without reading it. */
export interface FileFacts {
  name: string
  type: string
  size: number
  lastModified: number
  /** Where it was in a chosen folder. */
  webkitRelativePath?: string
}

/**
 * The same for the same file given again by the same user, and for nothing else as far as names, places, sizes and times tell.
 * A changed file has another time, so it never goes on where its older self stopped.
 */
export function fingerprintOf(file: FileFacts, owner: string, endpoint: string): string {
  const { name, type, size, lastModified, webkitRelativePath: place } = file
  return JSON.stringify([endpoint, owner, name, type, size, lastModified, ...(place ? [place] : [])])
}

/** How the names begin under which uploads are remembered. */
export const memoryPrefix = 'landfall:upload:'
const arrivedKey = 'landfall:arrived'
const minuteMs = 60 * 1000
/** Each tab sends a few files at once, so the one that another tab waited for is among the last. */
const maxArrived = 20
const monthMs = 30 * 24 * 60 * 60 * 1000

/** A memory on `shelf`. A shelf that is full or forbidden only means that a file starts anew after a reload. */
export function memoryOn(storage: KeyValueStorage, now: () => number = Date.now): UploadMemory {
  dropOld(storage, now())
  return {
    recall(fingerprint) {
      return read(storage, memoryPrefix + fingerprint)?.url ?? null
    },
    remember(fingerprint, url) {
      try {
        storage.setItem(memoryPrefix + fingerprint, JSON.stringify({ url, at: now() }))
      } catch {
        // Full: the upload itself goes on.
      }
    },
    forget(fingerprint) {
      storage.removeItem(memoryPrefix + fingerprint)
    },
    markArrived(fingerprint, url) {
      storage.removeItem(memoryPrefix + fingerprint)
      try {
        const others = readArrived(storage).filter((other) => other.fingerprint !== fingerprint)
        const all = [...others, { fingerprint, url, at: now() }].slice(-maxArrived)
        storage.setItem(arrivedKey, JSON.stringify(all))
      } catch {
        // Full: another tab that waits for this file sends it once more.
      }
    },
    arrived(fingerprint) {
      const found = readArrived(storage).find((other) => other.fingerprint === fingerprint)
      return found && now() - found.at < minuteMs ? found.url : null
    },
  }
}

interface Arrived {
  fingerprint: string
  url: string
  at: number
}

function readArrived(storage: KeyValueStorage): Arrived[] {
  try {
    const all: unknown = JSON.parse(storage.getItem(arrivedKey) ?? '[]')
    return Array.isArray(all) ? (all as Arrived[]).filter((one) => typeof one?.url === 'string') : []
  } catch {
    return []
  }
}

function dropOld(storage: KeyValueStorage, now: number): void {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index))
  for (const key of keys) {
    if (!key?.startsWith(memoryPrefix)) continue
    const entry = read(storage, key)
    if (!entry || entry.at < now - monthMs) storage.removeItem(key)
  }
}

function read(storage: KeyValueStorage, key: string): { url: string; at: number } | null {
  try {
    const entry = JSON.parse(storage.getItem(key) ?? 'null')
    return typeof entry?.url === 'string' && typeof entry.at === 'number' ? entry : null
  } catch {
    return null
  }
}
