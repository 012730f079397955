/** Milliseconds that the processor spends in this process on `work`: other than time on a clock, not more on a busy machine. */
export async function cpuTimeOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
