/** The CPU time of this process for `work`, in milliseconds. Unlike elapsed time it does not grow on a busy machine. */
export async function cpuTimeOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
