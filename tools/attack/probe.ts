// Loaded into the server before its own code (`--import`): writes the figures of the attack bench to a file four times a second.
//
// Each turn of the event loop is measured twice, between two calls of a short timer. Wall-clock time is what other clients wait; on a busy
// machine it includes the time for which the process did not run. The CPU time of the main thread does not depend on the machine's load.
import { appendFileSync } from 'node:fs'

const timerMs = 10
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
      delayMs: Math.max(longest.delayMs, Math.round(now - at) - timerMs),
      busyMs: Math.max(longest.busyMs, Math.round((user + system) / 1000) - timerMs),
    }
    at = now
    used = process.threadCpuUsage()
  }, timerMs).unref()
  setInterval(() => {
    appendFileSync(file, `${JSON.stringify({ rss: process.memoryUsage.rss(), ...longest })}\n`)
    longest = { delayMs: 0, busyMs: 0 }
  }, everyMs).unref()
}
