import { useRef } from 'preact/hooks'
import { formatBytes } from '../ui/format.ts'
import { visible } from '../ui/visible.ts'
import { me, signInState, signOut } from './session.ts'
import { TokenForm } from './sign-in.tsx'

/** The signed-in user, with a dialog that shows the limits of the role and signs out. */
export function IdentityBadge() {
  const dialog = useRef<HTMLDialogElement>(null)
  if (signInState.value !== 'signed-in' || !me.value) return null
  const { user, role, policy } = me.value
  return (
    <>
      <button type="button" class="badge" aria-haspopup="dialog" onClick={() => dialog.current?.showModal()}>
        <span class="visually-hidden">Signed in as </span>
        <bdi class="badge-user">{visible(user)}</bdi>
        <span class="role">{visible(role)}</span>
      </button>
      <dialog
        ref={dialog}
        class="identity"
        aria-labelledby="identity-title"
        // A click outside closes the dialog, in browsers that support the attribute.
        {...{ closedby: 'any' }}
      >
        <div class="identity-body">
          <h2 id="identity-title" class="any-text">
            Signed in as <bdi>{visible(user)}</bdi>
          </h2>
          <dl class="limits">
            <dt>Role</dt>
            <dd class="any-text">{visible(role)}</dd>
            {policy && (
              <>
                <dt>Largest file</dt>
                <dd>{formatBytes(policy.maxSize)}</dd>
                <dt>File types</dt>
                <dd>{policy.mediaTypes.includes('*/*') ? 'all' : policy.categories.join(', ')}</dd>
              </>
            )}
          </dl>
          {!policy && <p class="notice is-bad">This role may not upload files here.</p>}
          <details>
            <summary>Sign in with another token</summary>
            <TokenForm done={() => dialog.current?.close()} />
          </details>
          <div class="choices">
            <button type="button" class="button is-quiet" onClick={signOut}>
              Sign out
            </button>
            <button type="button" class="button is-quiet" onClick={() => dialog.current?.close()}>
              Close
            </button>
          </div>
        </div>
      </dialog>
    </>
  )
}
