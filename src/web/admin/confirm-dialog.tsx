import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Problem } from './problem.tsx'
import { errorMessage } from './query.ts'

export interface ConfirmDialogProps {
  /** The question, such as “Cancel film.mp4?”. */
  title: string
  /** The consequences. */
  children: ComponentChildren
  /** The text of the button that confirms. */
  confirmLabel: string
  isBad?: boolean
  /** False while the user has to confirm something else first. */
  isReady?: boolean
  /** Runs on confirmation. An error is shown in the dialog, which stays open. */
  act(): Promise<void>
  /** Called when the dialog closes, confirmed or not. */
  close(): void
}

/** Asks for confirmation of an action that cannot be undone. The button that goes back has the focus at first. */
export function ConfirmDialog({
  title,
  children,
  confirmLabel,
  isBad = false,
  isReady = true,
  act,
  close,
}: ConfirmDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => dialog.current?.showModal(), [])

  async function confirm(): Promise<void> {
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
    <dialog ref={dialog} class="identity" aria-labelledby="confirm-title" onClose={close}>
      <div class="identity-body">
        <h2 id="confirm-title" class="any-text">
          {title}
        </h2>
        <div class="confirm-text">{children}</div>
        <Problem message={problem} />
        <div class="choices">
          <button type="button" class="button is-quiet" onClick={() => dialog.current?.close()}>
            {problem === null ? 'Back' : 'Close'}
          </button>
          <button
            type="button"
            class={`button ${isBad ? 'is-bad' : ''}`}
            disabled={isBusy || !isReady}
            onClick={() => void confirm()}
          >
            {confirmLabel}
          </button>
        </div>
      </div>
    </dialog>
  )
}
