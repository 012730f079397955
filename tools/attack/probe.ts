// Loaded into the server before its own code (`--import`): writes every quarter of a second what the attack bench looks at.
import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const resolutionMs = 10
const everyMs = 250
const file = process.env['ATTACK_PROBE']

if (file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  setInterval(() => {
    const delayMs = Math.max(0, Math.round(delay.max / 1e6) - resolutionMs)
    delay.reset()
    appendFileSync(file, `${JSON.stringify({ rss: process.memoryUsage.rss(), delayMs })}\n`)
  }, everyMs).unref()
}
