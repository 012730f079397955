import { useState } from 'preact/hooks'
import { TokenField } from '../ui/token-field.tsx'
import { Problem } from './problem.tsx'
import { hasStoredToken, restoreToken, signInError, signInWith } from './session.ts'

/** Asks for an admin token. */
export function SignIn() {
  const [text, setText] = useState('')
  const [isBusy, setBusy] = useState(false)

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    setBusy(true)
    await signInWith(text)
    setBusy(false)
  }

  return (
    <section class="sign-in" aria-labelledby="sign-in-title">
      <h1 id="sign-in-title" class="title">
        Sign in to Admin
      </h1>
      <p class="quiet">
        Paste an admin token (<code>npx landfall token --admin</code> prints one), or an API key with the scope{' '}
        <code>admin</code>. It is kept in this tab only.
      </p>
      <form class="token-form" onSubmit={(event) => void submit(event)}>
        <TokenField value={text} set={setText} buttonLabel="Sign in" isBusy={isBusy} />
      </form>
      <Problem message={signInError.value} {...(hasStoredToken() && { retry: () => void restoreToken() })} />
    </section>
  )
}
