import { signal } from '@preact/signals'

const sentence = signal('')

/** Tells those who listen to the page what those who look at it see. */
export function announce(text: string): void {
  sentence.value = text
}

/** The place from which `say` speaks. */
export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {sentence}
    </div>
  )
}
