import { useId, useState } from 'preact/hooks'
import { hasExpired, signInError, signInWith } from './session.ts'
import { TokenField } from './token-field.tsx'

/** Asks for a token: before anything else, and when the one that was used has stopped working. */
export function SignIn() {
  return (
    <section class="sign-in" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">{hasExpired.value ? 'Sign in again' : 'Sign in'}</h2>
      {hasExpired.value ? (
        <p class="quiet">
          Your token has expired. Nothing is lost: with a new one every upload resumes where it stopped.
        </p>
      ) : (
        <p class="quiet">
          Paste the token you were given. On a server in development, open the sign-in link that the server printed when
          it started.
        </p>
      )}
      <TokenForm />
    </section>
  )
}

/** The field for a token. @param done called when it was accepted */
export function TokenForm({ done }: { done?: () => void }) {
  const [text, setText] = useState('')
  const [isKept, setKept] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const id = useId()

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    setBusy(true)
    const isIn = await signInWith(text, isKept)
    setBusy(false)
    if (!isIn) return
    setText('')
    done?.()
  }

  return (
    <form class="token-form" onSubmit={(event) => void submit(event)}>
      <TokenField
        value={text}
        set={setText}
        verb="Sign in"
        isBusy={isBusy}
        describedBy={signInError.value ? `${id}-problem` : undefined}
      />
      <label class="check">
        <input type="checkbox" checked={isKept} onChange={(event) => setKept(event.currentTarget.checked)} />
        Stay signed in on this device
      </label>
      {signInError.value && (
        <p id={`${id}-problem`} class="notice is-bad" role="alert">
          {signInError}
        </p>
      )}
    </form>
  )
}
