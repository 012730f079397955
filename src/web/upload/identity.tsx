import { useRef } from 'preact/hooks'
import { formatBytes } from './format.ts'
import { become, isTrial, leave, me, presence, problem } from './session.ts'
import { TokenForm } from './sign-in.tsx'
import { aRole } from './words.ts'

const roles = ['creator', 'member', 'subscriber']

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
          {isTrial.value && <Trial />}
          <details open={!isTrial.value}>
            <summary>Use another token</summary>
            <TokenForm done={() => dialog.current?.close()} />
          </details>
          <div class="choices">
            {!isTrial.value && (
              <button type="button" class="button is-quiet" onClick={() => void leave()}>
                Sign out
              </button>
            )}
            <button type="button" class="button is-quiet" onClick={() => dialog.current?.close()}>
              Close
            </button>
          </div>
        </div>
      </dialog>
    </>
  )
}

/** On a server that is being tried out one may try every role. */
function Trial() {
  const { user, role } = me.value!
  return (
    <fieldset class="trial">
      <legend>This server is being tried out. Be somebody else:</legend>
      <div class="segments">
        {roles.map((choice) => (
          <label key={choice}>
            <input
              type="radio"
              name="role"
              value={choice}
              checked={choice === role}
              onChange={() => void become({ role: choice })}
            />
            <span>{choice}</span>
          </label>
        ))}
      </div>
      <label>
        Name
        <input
          type="text"
          name="user"
          autocomplete="off"
          spellcheck={false}
          value={user}
          onChange={(event) => void become({ user: event.currentTarget.value.trim() || user })}
        />
      </label>
      {problem.value && (
        <p class="notice is-bad" role="alert">
          {problem}
        </p>
      )}
    </fieldset>
  )
}
