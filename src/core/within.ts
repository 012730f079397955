/** Settles as `work` does, or resolves to `null` when that takes longer than `ms` or `signal` aborts; the work then continues. */
export async function within<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | null> {
  const { promise: timeout, resolve } = Promise.withResolvers<null>()
  const stop = () => resolve(null)
  const timer = setTimeout(stop, signal?.aborted ? 0 : ms)
  signal?.addEventListener('abort', stop)
  return Promise.race([work, timeout]).finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  })
}
