import { useId } from 'preact/hooks'

interface TokenFieldProps {
  value: string
  set(value: string): void
  buttonLabel: string
  isBusy: boolean
  /** The id of the element that shows the sign-in error, if any. */
  describedBy?: string | undefined
}

/** The field for a token with its button. Browsers do not store what is typed there. */
export function TokenField({ value, set, buttonLabel, isBusy, describedBy }: TokenFieldProps) {
  const id = useId()
  return (
    <>
      <label for={id}>Token</label>
      <div class="field">
        <input
          id={id}
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          value={value}
          aria-describedby={describedBy}
          onInput={(event) => set(event.currentTarget.value)}
        />
        <button type="submit" class="button" disabled={isBusy}>
          {buttonLabel}
        </button>
      </div>
    </>
  )
}
