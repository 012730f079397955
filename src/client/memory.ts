/** Storage for the URLs of uploads, such as `localStorage`. */
export type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>

/** Remembers the upload URL of a file across reloads and crashes. */
export interface UploadMemory {
  /** The URL of the upload of this file. */
  recall(fingerprint: string): string | null
  remember(fingerprint: string, url: string): void
  forget(fingerprint: string): void
  /** The upload is complete: the file is forgotten, and for one minute tabs that wait for it can read its URL with `completedUrl`. */
  markCompleted(fingerprint: string, url: string): void
  completedUrl(fingerprint: string): string | null
}

/** What distinguishes one file from another without reading it. */
export interface FileFacts {
  name: string
  type: string
  size: number
  lastModified: number
  /** Its path in a chosen folder. */
  webkitRelativePath?: string
}

/**
 * Equal for the same file of the same user at the same endpoint, as far as name, path, type, size and time of change can tell.
 * A changed file has another time, so its bytes are never appended to the upload of its older version.
 */
export function fingerprintOf(file: FileFacts, owner: string, endpoint: string): string {
  const { name, type, size, lastModified, webkitRelativePath: path } = file
  return JSON.stringify([endpoint, owner, name, type, size, lastModified, ...(path ? [path] : [])])
}

/** Prefix of the storage keys of uploads. */
export const memoryPrefix = 'landfall:upload:'
const completedKey = 'landfall:completed'
const minuteMs = 60 * 1000
/** A tab sends a few files at a time, so the file that another tab waits for is among the last ones. */
const maxCompleted = 20
const monthMs = 30 * 24 * 60 * 60 * 1000

/** A memory in `storage`. If that is full or denied, a file starts from zero after a reload. */
export function memoryOn(storage: KeyValueStorage, now: () => number = Date.now): UploadMemory {
  removeExpired(storage, now())
  return {
    recall(fingerprint) {
      return read(storage, memoryPrefix + fingerprint)?.url ?? null
    },
    remember(fingerprint, url) {
      try {
        storage.setItem(memoryPrefix + fingerprint, JSON.stringify({ url, at: now() }))
      } catch {
        // The storage is full; the upload itself continues.
      }
    },
    forget(fingerprint) {
      storage.removeItem(memoryPrefix + fingerprint)
    },
    markCompleted(fingerprint, url) {
      storage.removeItem(memoryPrefix + fingerprint)
      try {
        const others = readCompleted(storage).filter((other) => other.fingerprint !== fingerprint)
        const all = [...others, { fingerprint, url, at: now() }].slice(-maxCompleted)
        storage.setItem(completedKey, JSON.stringify(all))
      } catch {
        // The storage is full; another tab that waits for this file sends it again.
      }
    },
    completedUrl(fingerprint) {
      const found = readCompleted(storage).find((other) => other.fingerprint === fingerprint)
      return found && now() - found.at < minuteMs ? found.url : null
    },
  }
}

interface CompletedUpload {
  fingerprint: string
  url: string
  at: number
}

function readCompleted(storage: KeyValueStorage): CompletedUpload[] {
  try {
    const all: unknown = JSON.parse(storage.getItem(completedKey) ?? '[]')
    return Array.isArray(all) ? (all as CompletedUpload[]).filter((entry) => typeof entry?.url === 'string') : []
  } catch {
    return []
  }
}

function removeExpired(storage: KeyValueStorage, now: number): void {
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
