// Loaded into the server before its own code (`--import`): writes every quarter of a second what the attack bench looks at.
//
// One turn of the event loop is measured twice, between two visits of a short timer. On the clock it is what other clients wait, and on a
// busy machine it also holds the time in which the process did not run. The processor time of the main thread is the work alone, whatever
// else the machine does.
import { appendFileSync } from 'node:fs'

const visitMs = 10
const everyMs = 250
const file = process.env['ATTACK_PROBE']

if (file !== undefined) {
  let longest = { delayMs: 0, busyMs: 0 }
  let at = performance.now()
  let used = process.threadCpuUsage()
  setInterval(() => {
    const { user, system } = process.threadCpuUsage(used)
    const now = performance.now()
    longest = {
      delayMs: Math.max(longest.delayMs, Math.round(now - at) - visitMs),
      busyMs: Math.max(longest.busyMs, Math.round((user + system) / 1000) - visitMs),
    }
    at = now
    used = process.threadCpuUsage()
  }, visitMs).unref()
  setInterval(() => {
    appendFileSync(file, `${JSON.stringify({ rss: process.memoryUsage.rss(), ...longest })}\n`)
    longest = { delayMs: 0, busyMs: 0 }
  }, everyMs).unref()
}
