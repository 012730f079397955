/** The offset of an upload, and whether a request is writing to it. */
export interface UploadStatus {
  state: 'receiving' | 'finishing' | 'completed' | 'gone'
  offset: number
  live: boolean
}

/** What becomes of an upload that another device sends. */
export interface OtherDevice {
  /** It has sent the last byte, and the file is complete. */
  completed(): void
  /** The upload no longer exists. */
  gone(): void
  /** The offset has changed. */
  moved(offset: number): void
  /** It makes no progress any more: this page may send the rest. */
  abandoned(): void
}

/** After so many polls without progress an upload counts as abandoned. One is not enough: a client may be between two requests. */
const unchangedPolls = 2

/**
 * Polls the status of an upload that another device sends.
 * @param offset the offset that is known already
 * @param read `null`: the server did not respond
 * @returns ends the polling; no callback is called afterwards
 */
export function watchOtherDevice(
  offset: number,
  read: () => Promise<UploadStatus | null>,
  pollMs: number,
  on: OtherDevice,
): () => void {
  let known = offset
  let unchanged = 0
  let isStopped = false
  const timer = setInterval(() => void poll(), pollMs)

  async function poll(): Promise<void> {
    const status = await read()
    if (isStopped || status === null) return
    if (status.state === 'completed') return end(on.completed)
    if (status.state === 'gone') return end(on.gone)
    const isUnchanged = status.state === 'receiving' && !status.live && status.offset === known
    unchanged = isUnchanged ? unchanged + 1 : 0
    if (status.offset !== known) on.moved(status.offset)
    known = status.offset
    if (unchanged >= unchangedPolls) end(on.abandoned)
  }

  function end(callback: () => void): void {
    stop()
    callback()
  }

  function stop(): void {
    isStopped = true
    clearInterval(timer)
  }

  return stop
}
