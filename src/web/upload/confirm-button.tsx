import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

interface ConfirmButtonProps {
  /** The text of the button, or its accessible name when it shows an icon. */
  label: string
  /** The icon; default: the label is shown. */
  children?: ComponentChildren
  /** Such as `Delete film.mp4?`. */
  question: string
  /** The text of the button that confirms. */
  confirmLabel: string
  cancelLabel?: string
  /** Returns false when the action failed; the page shows the error elsewhere. */
  act(): Promise<boolean> | boolean
}

/** A button for an action that cannot be undone: it asks for confirmation in its own place. */
export function ConfirmButton({
  label,
  children,
  question,
  confirmLabel,
  cancelLabel = 'Keep',
  act,
}: ConfirmButtonProps) {
  const [isAsking, setAsking] = useState(false)
  const opener = useRef<HTMLButtonElement>(null)
  const confirm = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (isAsking) confirm.current?.focus()
  }, [isAsking])

  function cancel(): void {
    setAsking(false)
    // After the button has been rendered again.
    setTimeout(() => opener.current?.focus())
  }

  async function run(): Promise<void> {
    if (!(await act())) return cancel()
    setAsking(false)
    // The row may be removed together with the focused element; the title of the list is the nearest element that stays.
    document.getElementById('uploads-title')?.focus()
  }

  if (!isAsking) {
    return (
      <button
        ref={opener}
        type="button"
        class={children ? 'icon-button' : 'button is-quiet'}
        aria-label={children ? label : undefined}
        title={children ? label : undefined}
        onClick={() => setAsking(true)}
      >
        {children ?? label}
      </button>
    )
  }
  return (
    <fieldset class="choices confirm" onKeyDown={(event) => event.key === 'Escape' && cancel()}>
      <legend class="visually-hidden">{question}</legend>
      <button ref={confirm} type="button" class="button is-bad" onClick={() => void run()}>
        {confirmLabel}
      </button>
      <button type="button" class="button is-quiet" onClick={cancel}>
        {cancelLabel}
      </button>
    </fieldset>
  )
}
