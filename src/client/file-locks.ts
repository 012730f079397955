/*
 * Locks that let one tab of a browser send a file. A file lock is a lock of the Web Locks API: the browser releases it when the tab is
 * closed or crashes. A page without Web Locks (no TLS, and not localhost) is granted every lock; then only the server's upload lock
 * keeps two tabs apart.
 */

/** Releases a lock. May be called twice. */
export type Release = () => void

export interface FileLocks {
  /** Acquires the lock `name`; `null` when another tab holds it. */
  tryAcquire(name: string): Promise<Release | null>
  /** Waits until no other tab holds the lock. Rejects when `signal` aborts. */
  acquire(name: string, signal: AbortSignal): Promise<Release>
  /** Names of the locks that other tabs hold. */
  heldByOthers(): Promise<string[]>
}

/** The methods of the browser's `LockManager` that are used here. */
export interface Locks {
  request(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    callback: (lock: object | null) => Promise<void> | undefined,
  ): Promise<unknown>
  query(): Promise<{ held?: { name?: string }[] }>
}

const prefix = 'landfall:'

/** File locks over the Web Locks API. @param locks `navigator.locks`, which not every page has */
export function fileLocks(locks: Locks | undefined): FileLocks {
  if (!locks) return alwaysGranted
  /** Locks of this tab, each until the browser has released it. `request` waits for that, so the tab can reacquire a lock at once. */
  const own = new Map<string, Promise<unknown>>()

  async function request(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
  ): Promise<Release | null> {
    await own.get(name)
    return new Promise((resolve, reject) => {
      const held = Promise.withResolvers<void>()
      locks!
        .request(prefix + name, options, (lock) => {
          if (lock === null) {
            resolve(null)
            return undefined
          }
          own.set(name, held.promise)
          return new Promise<void>((release) => resolve(() => release()))
        })
        .catch(reject)
        .finally(() => {
          if (own.get(name) === held.promise) own.delete(name)
          held.resolve()
        })
    })
  }

  return {
    // A browser that denies locks to the page is treated like one without locks.
    tryAcquire: (name) => request(name, { ifAvailable: true }).catch(() => () => {}),
    acquire: async (name, signal) => (await request(name, { signal })) as Release,
    async heldByOthers() {
      const { held = [] } = await locks.query()
      const names = held.flatMap(({ name }) => (name?.startsWith(prefix) ? [name.slice(prefix.length)] : []))
      return names.filter((name) => !own.has(name))
    },
  }
}

const alwaysGranted: FileLocks = {
  tryAcquire: async () => () => {},
  acquire: async () => () => {},
  heldByOthers: async () => [],
}
