// Shows progress: on a terminal one line that changes, elsewhere a line at the start and one every few seconds.

/** Shows `label`, the current `detail()` and the elapsed seconds until `work` settles. */
export async function withProgress(label, detail, work, { stream = process.stderr, everyMs = 10_000 } = {}) {
  const startedAt = Date.now()
  const seconds = () => Math.round((Date.now() - startedAt) / 1000)
  const line = () => `landfall: ${label} (${[detail(), `${seconds()} s`].filter(Boolean).join(', ')})`
  const show = () => stream.write(stream.isTTY ? `\r\x1b[2K${line()}` : `${line()}\n`)
  stream.write(stream.isTTY ? '' : `landfall: ${label}\n`)
  const timer = setInterval(show, stream.isTTY ? 250 : everyMs)
  try {
    return await work
  } finally {
    clearInterval(timer)
    stream.write(stream.isTTY ? `\r\x1b[2K${line()}\n` : `${line()}\n`)
  }
}
