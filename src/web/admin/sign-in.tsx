import { useState } from 'preact/hooks'
import { TokenField } from '../upload/token-field.tsx'
import { Problem } from './problem.tsx'
import { hasStoredToken, restoreToken, signInError, signInWith } from './session.ts'

/** Asks for an administrator's token. */
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
    <section class="sign-in" aria-labelledby="door-title">
      <h1 id="door-title" class="title">
        Sign in to Admin
      </h1>
      <p class="quiet">
        Paste an admin token (<code>landfall token --admin</code> prints one), or an API key with the scope{' '}
        <code>admin</code>. It is kept in this tab only.
      </p>
      <form class="token-form" onSubmit={(event) => void submit(event)}>
        <TokenField value={text} set={setText} verb="Sign in" isBusy={isBusy} />
      </form>
      <Problem words={signInError.value} {...(hasStoredToken() && { again: () => void restoreToken() })} />
    </section>
  )
}
