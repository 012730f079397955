/**
 * What `work` resolves to, or `null` when it takes longer than `ms` or `signal` aborts; the work goes on then. Rejects as the
 * work does.
 */
export async function within<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | null> {
  const { promise: tooLong, resolve } = Promise.withResolvers<null>()
  const stop = () => resolve(null)
  const timer = setTimeout(stop, signal?.aborted ? 0 : ms)
  signal?.addEventListener('abort', stop)
  return Promise.race([work, tooLong]).finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  })
}
