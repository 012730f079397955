import { useId } from 'preact/hooks'

interface TokenFieldProps {
  value: string
  set(value: string): void
  /** What the button says. */
  verb: string
  isBusy: boolean
  /** The id of what says why the last one was not accepted, if that is shown. */
  describedBy?: string | undefined
}

/** The field for a token and the button that uses it. Nothing remembers what is typed there. */
export function TokenField({ value, set, verb, isBusy, describedBy }: TokenFieldProps) {
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
          {verb}
        </button>
      </div>
    </>
  )
}
