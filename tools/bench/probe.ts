/*
 * Loaded before a server (`node --import`): reports the cost of the process to its parent, without an inspector.
 */
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The cost of a process since the last `start` message. */
export interface Cost {
  cpuSeconds: number
  /** Since the process started: the kernel keeps no other peak. */
  peakRss: number
  /** Event loop delay. */
  p99Ms: number
  worstMs: number
  /** Bytes written to files, without sockets. */
  diskBytes: number
}

const everyMs = 5
const delay = monitorEventLoopDelay({ resolution: everyMs })
let cpu = process.cpuUsage()
let disk = diskBytes()

process.on('message', (order: 'start' | 'report') => {
  if (order === 'start') {
    delay.enable()
    delay.reset()
    cpu = process.cpuUsage()
    disk = diskBytes()
    process.send!('started')
    return
  }
  const { user, system } = process.cpuUsage(cpu)
  // The delay includes the interval of the timer.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - everyMs)
  const cost: Cost = {
    cpuSeconds: (user + system) / 1e6,
    peakRss: process.resourceUsage().maxRSS * 1024,
    p99Ms: late(delay.percentile(99)),
    worstMs: late(delay.max),
    diskBytes: diskBytes() - disk,
  }
  process.send!(cost)
})
process.on('disconnect', () => process.exit())
// The IPC channel must not keep a server alive that has nothing else to do.
process.channel?.unref()

function diskBytes(): number {
  const text = readFileSync('/proc/self/io', 'utf8')
  return Number(/^write_bytes: (\d+)/m.exec(text)?.[1] ?? 0)
}
