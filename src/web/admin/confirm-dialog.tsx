import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Problem } from './problem.tsx'
import { errorMessage } from './query.ts'

export interface ConfirmDialogProps {
  /** What is asked, such as “Cancel film.mp4?”. */
  title: string
  /** What follows from it. */
  children: ComponentChildren
  /** What the button says that does it. */
  verb: string
  isBad?: boolean
  /** False: something must be confirmed before. */
  isReady?: boolean
  /** What is done on yes. What it throws is told in the dialog, which stays open. */
  act(): Promise<void>
  /** Called when it was done, and when it was not to be done. */
  close(): void
}

/** Asks once more before something that cannot be taken back. The keyboard begins on the way out. */
export function ConfirmDialog({
  title,
  children,
  verb,
  isBad = false,
  isReady = true,
  act,
  close,
}: ConfirmDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => dialog.current?.showModal(), [])

  async function go(): Promise<void> {
    setBusy(true)
    try {
      await act()
      dialog.current?.close()
    } catch (thrown) {
      setProblem(errorMessage(thrown))
      setBusy(false)
    }
  }

  return (
    <dialog ref={dialog} class="identity" aria-labelledby="sure-title" onClose={close}>
      <div class="identity-body">
        <h2 id="sure-title" class="any-text">
          {title}
        </h2>
        <div class="sure-words">{children}</div>
        <Problem words={problem} />
        <div class="choices">
          <button type="button" class="button is-quiet" onClick={() => dialog.current?.close()}>
            {problem === null ? 'Back' : 'Close'}
          </button>
          <button
            type="button"
            class={`button ${isBad ? 'is-bad' : ''}`}
            disabled={isBusy || !isReady}
            onClick={() => void go()}
          >
            {verb}
          </button>
        </div>
      </div>
    </dialog>
  )
}
