/*
 * Which tab of this browser sends a file. A claim is a lock of the Web Locks API: the browser gives it back when the tab is closed
 * or crashes. Where the page has no such locks (an address without TLS that is not this machine) every claim is granted, and only
 * the server tells two tabs apart.
 */

/** Gives a claim back. May be called twice. */
export type Release = () => void

export interface FileLocks {
  /** Takes the claim `name` if no other tab has it; `null`: one has. */
  tryAcquire(name: string): Promise<Release | null>
  /** Takes it as soon as no other tab has it. Rejects when `signal` aborts. */
  acquire(name: string, signal: AbortSignal): Promise<Release>
  /** The claims that other tabs hold. */
  heldByOthers(): Promise<string[]>
}

/** What is used of the browser's `LockManager`. */
export interface Locks {
  request(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    callback: (lock: object | null) => Promise<void> | undefined,
  ): Promise<unknown>
  query(): Promise<{ held?: { name?: string }[] }>
}

const prefix = 'landfall:'

/** Claims by the locks of this browser. @param locks `navigator.locks`, which not every page has */
export function fileLocks(locks: Locks | undefined): FileLocks {
  if (!locks) return alwaysGranted
  /** Those of this tab, each until the browser has taken it back: a claim that was just released can be taken at once. */
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
    // A browser that refuses locks to the page tells its tabs apart as little as one without any.
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
