/*
 * Loaded before a server (`node --import`): reports the cost of the process, and of the workers that it started, to its parent, without an
 * inspector. The delay of the event loop is that of the process alone.
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
let cpu = cpuSeconds()
let disk = diskBytes()

process.on('message', (order: 'start' | 'report' | object) => {
  // A worker's messages are those of its primary.
  if (typeof order === 'object') return
  if (order === 'start') {
    delay.enable()
    delay.reset()
    cpu = cpuSeconds()
    disk = diskBytes()
    process.send!('started')
    return
  }
  // The delay includes the interval of the timer.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - everyMs)
  const cost: Cost = {
    cpuSeconds: cpuSeconds() - cpu,
    peakRss: processes().reduce((sum, pid) => sum + peakOf(pid), 0),
    p99Ms: late(delay.percentile(99)),
    worstMs: late(delay.max),
    diskBytes: diskBytes() - disk,
  }
  process.send!(cost)
})
process.on('disconnect', () => process.exit())
// The IPC channel must not keep a server alive that has nothing else to do.
process.channel?.unref()

/** This process and its children. */
function processes(): string[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
  return ['self', ...children.split(' ').filter(Boolean)]
}

function cpuSeconds(): number {
  return processes().reduce((sum, pid) => {
    // After the name of the program, which may have blanks, utime and stime are the 12th and 13th field, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) / 100
  }, 0)
}

/** Bytes. */
function peakOf(pid: string): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

function diskBytes(): number {
  return processes().reduce((sum, pid) => {
    const text = readFileSync(`/proc/${pid}/io`, 'utf8')
    return sum + Number(/^write_bytes: (\d+)/m.exec(text)?.[1] ?? 0)
  }, 0)
}
