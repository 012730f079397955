import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

interface ConfirmButtonProps {
  /** What the button says, or is called when it shows a picture. */
  label: string
  /** The picture; not given: the label is shown. */
  children?: ComponentChildren
  /** What is asked, such as `Delete film.mp4?`. */
  question: string
  /** The button that does it. */
  verb: string
  keep?: string
  /** False: it was not done, and the page says why elsewhere. */
  act(): Promise<boolean> | boolean
}

/** A button for what cannot be undone: it asks once more in its own place. */
export function ConfirmButton({ label, children, question, verb, keep = 'Keep', act }: ConfirmButtonProps) {
  const [isAsking, setAsking] = useState(false)
  const first = useRef<HTMLButtonElement>(null)
  const second = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (isAsking) second.current?.focus()
  }, [isAsking])

  function back(): void {
    setAsking(false)
    // Once the button is there again.
    setTimeout(() => first.current?.focus())
  }

  async function go(): Promise<void> {
    if (!(await act())) return back()
    setAsking(false)
    // The row may vanish, and with it the place of the keyboard; the list's title is the nearest one that stays.
    document.getElementById('uploads-title')?.focus()
  }

  if (!isAsking) {
    return (
      <button
        ref={first}
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
    <fieldset class="choices sure" onKeyDown={(event) => event.key === 'Escape' && back()}>
      <legend class="unseen">{question}</legend>
      <button ref={second} type="button" class="button is-bad" onClick={() => void go()}>
        {verb}
      </button>
      <button type="button" class="button is-quiet" onClick={back}>
        {keep}
      </button>
    </fieldset>
  )
}
