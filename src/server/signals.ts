/**
 * Calls `stop` at the first signal that asks the process to end, and `leave` at a second one. A Ctrl-C often arrives twice, from the terminal
 * and from npm, so signals within a second count as one.
 */
export function onStopSignals(stop: (signal: string) => void, leave: () => void): void {
  let stoppingSince: number | undefined
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stoppingSince === undefined) {
        stoppingSince = Date.now()
        stop(signal)
      } else if (Date.now() - stoppingSince > 1000) {
        leave()
      }
    })
  }
}
