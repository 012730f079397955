/**
 * Returns a function that resolves with the result of a run of `work` that began after it was called. Calls with the same key that arrive
 * while one runs share the next run: what is true after it is true for all of them, and costs as much as for one.
 */
export function shareRuns<T>(work: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const runs = new Map<string, { running: Promise<T>; next: Promise<T> | null }>()

  function start(key: string): Promise<T> {
    const run = { running: work(key), next: null }
    runs.set(key, run)
    const forget = () => {
      if (run.next === null) runs.delete(key)
    }
    run.running.then(forget, forget)
    return run.running
  }

  return (key) => {
    const run = runs.get(key)
    if (!run) return start(key)
    run.next ??= run.running.then(
      () => start(key),
      () => start(key),
    )
    return run.next
  }
}
