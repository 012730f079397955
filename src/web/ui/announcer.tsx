import { signal } from '@preact/signals'

const sentence = signal('')

/** Lets screen readers read `text` aloud. */
export function announce(text: string): void {
  sentence.value = text
}

/** The live region that `announce` writes to. */
export function Announcer() {
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {sentence}
    </div>
  )
}
