/*
 * Loaded before a server (`node --import`): tells whoever forked the process what the process costs, without an inspector.
 */
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** What a process cost since it was last asked to begin. */
export interface Cost {
  cpuSeconds: number
  /** Since the process began: the kernel keeps no other. */
  peakRss: number
  /** Of the event loop's delay. */
  p99Ms: number
  worstMs: number
  /** What it made the kernel write to files; sockets do not count. */
  diskBytes: number
}

const everyMs = 5
const delay = monitorEventLoopDelay({ resolution: everyMs })
let cpu = process.cpuUsage()
let disk = diskBytes()

process.on('message', (order: 'begin' | 'report') => {
  if (order === 'begin') {
    delay.enable()
    delay.reset()
    cpu = process.cpuUsage()
    disk = diskBytes()
    process.send!('begun')
    return
  }
  const { user, system } = process.cpuUsage(cpu)
  // The timer itself is part of what is measured.
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
// A server may end when it has nothing to do; being watched is nothing to do.
process.channel?.unref()

function diskBytes(): number {
  const text = readFileSync('/proc/self/io', 'utf8')
  return Number(/^write_bytes: (\d+)/m.exec(text)?.[1] ?? 0)
}
