import { useState } from 'preact/hooks'
import type { ApiKey } from '../../client/admin-types.ts'
import { say } from '../upload/announcer.tsx'
import { When } from '../upload/when.tsx'
import { useAnswer } from './answer.ts'
import { NewKey } from './new-key.tsx'
import { Problem } from './problem.tsx'
import { admin } from './session.ts'
import { Sure } from './sure.tsx'
import { nameOf } from './words.ts'

/** API keys for services: made, used, revoked. */
export function Keys() {
  const answer = useAnswer(admin.keys)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)
  const keys = answer.value?.toSorted((a, b) => Number(isOver(a)) - Number(isOver(b))) ?? null
  return (
    <>
      <NewKey made={answer.again} />
      <section class="part" aria-labelledby="keys-title">
        <h2 id="keys-title" tabIndex={-1}>
          Keys there are
        </h2>
        <Problem words={answer.problem} again={answer.again} />
        {keys?.length === 0 && <p class="empty quiet">None was made yet.</p>}
        {keys && keys.length > 0 && (
          <ul class="rows">
            {keys.map((key) => (
              <KeyRow key={key.id} apiKey={key} revoke={() => setRevoking(key)} />
            ))}
          </ul>
        )}
        {revoking && (
          <Sure
            title={`Revoke ${revoking.name}?`}
            verb="Revoke it"
            isBad
            act={async () => {
              await admin.revokeKey(revoking.id)
              say(`${revoking.name} is revoked.`)
              answer.again()
            }}
            close={() => {
              setRevoking(null)
              document.getElementById('keys-title')?.focus()
            }}
          >
            <p>
              Every server refuses it within a second, for good. What it has begun can no longer be completed with it;
              nothing is deleted.
            </p>
          </Sure>
        )}
      </section>
    </>
  )
}

function isOver({ revokedAt, expiresAt }: ApiKey): boolean {
  return revokedAt !== null || (expiresAt !== null && Date.parse(expiresAt) <= Date.now())
}

function KeyRow({ apiKey, revoke }: { apiKey: ApiKey; revoke: () => void }) {
  const { name, prefix, role, user, tenant, scopes, expiresAt, revokedAt, revokedBy, lastUsedAt } = apiKey
  return (
    <li class={`row key-row ${isOver(apiKey) ? 'is-over-now' : ''}`}>
      <div class="row-words">
        <p class="any-text">
          <strong>{name}</strong> <code class="quiet">{prefix}…</code>
        </p>
        <p class="facts quiet">
          <span class="any-text">
            {role}, {user === null ? 'a user of its own' : `as ${nameOf({ user, tenant })}`}
          </span>
          <span>{scopes.join(', ')}</span>
          <span>
            {lastUsedAt ? (
              <>
                used <When at={lastUsedAt} />
              </>
            ) : (
              'never used'
            )}
          </span>
          <span class="any-text">
            made by {apiKey.createdBy} <When at={apiKey.createdAt} />
          </span>
          {revokedAt === null && expiresAt !== null && (
            <span>
              {isOver(apiKey) ? 'ended' : 'ends'} <When at={expiresAt} />
            </span>
          )}
          {revokedAt !== null && (
            <span class="state is-failed any-text">
              revoked by {revokedBy} <When at={revokedAt} />
            </span>
          )}
        </p>
      </div>
      {!isOver(apiKey) && (
        <button type="button" class="button is-quiet has-bad" onClick={revoke}>
          Revoke<span class="unseen"> {name}</span>
        </button>
      )}
    </li>
  )
}
