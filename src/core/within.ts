/** What `work` resolves to, or `null` when it takes longer than `ms`; the work goes on then. Rejects as the work does. */
export async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null)
  })
  return Promise.race([work, tooLong]).finally(() => clearTimeout(timer))
}
