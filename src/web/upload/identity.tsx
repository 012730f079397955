import { useRef } from 'preact/hooks'
import { formatBytes } from './format.ts'
import { leave, me, presence } from './session.ts'
import { TokenForm } from './sign-in.tsx'
import { aRole } from './words.ts'

/** Who one is here, and the way to be somebody else. */
export function IdentityBadge() {
  const dialog = useRef<HTMLDialogElement>(null)
  if (presence.value !== 'in' || !me.value) return null
  const { user, role, policy } = me.value
  return (
    <>
      <button type="button" class="badge" aria-haspopup="dialog" onClick={() => dialog.current?.showModal()}>
        <span class="unseen">You are </span>
        <span class="badge-user">{user}</span>
        <span class={`role is-${role}`}>{role}</span>
      </button>
      <dialog
        ref={dialog}
        class="identity"
        aria-labelledby="identity-title"
        // A click beside it closes it, in browsers that know the attribute.
        {...{ closedby: 'any' }}
      >
        <div class="identity-body">
          <h2 id="identity-title">
            You are {role} <strong>{user}</strong>
          </h2>
          {policy ? (
            <dl class="limits">
              <dt>Files up to</dt>
              <dd>{formatBytes(policy.maxSize)}</dd>
              <dt>Kinds</dt>
              <dd>{policy.mediaTypes.includes('*/*') ? 'everything' : policy.categories.join(', ')}</dd>
            </dl>
          ) : (
            <p class="notice is-bad">As {aRole(role)} you may not send files here.</p>
          )}
          <details open>
            <summary>Use another token</summary>
            <TokenForm done={() => dialog.current?.close()} />
          </details>
          <div class="choices">
            <button type="button" class="button is-quiet" onClick={() => void leave()}>
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
