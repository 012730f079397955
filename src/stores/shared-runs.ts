// Two, because the kernel begins to collect the changes of the next write to the disk while it writes those before.
const mostAtOnce = 2

interface Runs<T> {
  running: Set<Promise<T>>
  next: Promise<T> | null
}

/**
 * Returns a function that resolves with the result of a run of `work` that began after it was called. Calls with the same key that arrive
 * while two run share the next run: what is true after it is true for all of them, and costs as much as for one.
 */
export function shareRuns<T>(work: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const all = new Map<string, Runs<T>>()

  function start(key: string, runs: Runs<T>): Promise<T> {
    const run = work(key)
    runs.running.add(run)
    const end = () => {
      runs.running.delete(run)
      if (runs.running.size === 0 && runs.next === null) all.delete(key)
    }
    run.then(end, end)
    return run
  }

  return (key) => {
    const runs = all.get(key) ?? { running: new Set(), next: null }
    all.set(key, runs)
    if (runs.running.size < mostAtOnce) return start(key, runs)
    runs.next ??= Promise.race([...runs.running].map((run) => run.catch(() => {}))).then(() => {
      runs.next = null
      return start(key, runs)
    })
    return runs.next
  }
}
