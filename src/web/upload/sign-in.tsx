import { useId, useState } from 'preact/hooks'
import { TokenField } from '../ui/token-field.tsx'
import { hasExpired, signInError, signInWith } from './session.ts'

/** Asks for a token, at first and when the server no longer accepts the previous one. */
export function SignIn() {
  return (
    <section class="sign-in" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">{hasExpired.value ? 'Sign in again' : 'Sign in'}</h2>
      {hasExpired.value ? (
        <p class="quiet">Your token has expired. Sign in with a new one: every upload resumes where it stopped.</p>
      ) : (
        <p class="quiet">
          Paste the token you were given. If the server runs in development mode, open the sign-in link that it printed
          when it started.
        </p>
      )}
      <TokenForm />
    </section>
  )
}

/** The form that signs in with a token. @param done called after sign-in */
export function TokenForm({ done }: { done?: () => void }) {
  const [text, setText] = useState('')
  const [isPersistent, setPersistent] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const id = useId()

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    setBusy(true)
    const isSignedIn = await signInWith(text, isPersistent)
    setBusy(false)
    if (!isSignedIn) return
    setText('')
    done?.()
  }

  return (
    <form class="token-form" onSubmit={(event) => void submit(event)}>
      <TokenField
        value={text}
        set={setText}
        buttonLabel="Sign in"
        isBusy={isBusy}
        describedBy={signInError.value ? `${id}-problem` : undefined}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={isPersistent}
          onChange={(event) => setPersistent(event.currentTarget.checked)}
        />
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
