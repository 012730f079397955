import { useState } from 'preact/hooks'
import type { ApiKey } from '../../contract/keys.ts'
import { announce } from '../ui/announcer.tsx'
import { visible } from '../ui/visible.ts'
import { When } from '../ui/when.tsx'
import { ConfirmDialog } from './confirm-dialog.tsx'
import { type Column, DataTable } from './data-table.tsx'
import { nameOf } from './messages.ts'
import { NewKey } from './new-key.tsx'
import { Problem } from './problem.tsx'
import { useQuery } from './query.ts'
import { admin } from './session.ts'

/** API keys: list, create, revoke. */
export function Keys() {
  const query = useQuery(admin.keys)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)
  const keys = query.value?.toSorted((a, b) => Number(hasEnded(a)) - Number(hasEnded(b))) ?? null
  return (
    <>
      <NewKey created={query.refetch} />
      <section class="part" aria-labelledby="keys-title">
        <h2 id="keys-title" tabIndex={-1}>
          API keys
        </h2>
        <Problem message={query.error} retry={query.refetch} />
        {keys?.length === 0 && <p class="empty quiet">No API keys yet.</p>}
        {keys && keys.length > 0 && (
          <DataTable
            label="API keys"
            items={keys}
            columns={columns}
            keyOf={({ id }) => id}
            rowClass={(key) => (hasEnded(key) ? 'has-ended' : '')}
            actions={(key) =>
              !hasEnded(key) && (
                <button type="button" class="button is-quiet has-bad" onClick={() => setRevoking(key)}>
                  Revoke<span class="visually-hidden"> {visible(key.name)}</span>
                </button>
              )
            }
          />
        )}
        {revoking && (
          <ConfirmDialog
            title={`Revoke ${visible(revoking.name)}?`}
            confirmLabel="Revoke"
            isBad
            act={async () => {
              await admin.revokeKey(revoking.id)
              announce(`${visible(revoking.name)} was revoked.`)
              query.refetch()
            }}
            close={() => {
              setRevoking(null)
              document.getElementById('keys-title')?.focus()
            }}
          >
            <p>
              Every server refuses the key within a second. Its open uploads can no longer be completed with it; nothing
              is deleted.
            </p>
          </ConfirmDialog>
        )}
      </section>
    </>
  )
}

function hasEnded({ revokedAt, expiresAt }: ApiKey): boolean {
  return revokedAt !== null || (expiresAt !== null && Date.parse(expiresAt) <= Date.now())
}

const columns: Column<ApiKey>[] = [
  {
    name: 'Name',
    value: ({ name }) => name,
    cell: ({ name, prefix }) => (
      <>
        <bdi class="any-text">{visible(name)}</bdi> <code class="quiet">{prefix}…</code>
      </>
    ),
  },
  {
    name: 'State',
    value: (key) => (key.revokedAt !== null ? 'revoked' : hasEnded(key) ? 'expired' : 'active'),
    cell: (key) =>
      key.revokedAt !== null ? (
        <span class="state is-failed">
          revoked by {visible(key.revokedBy ?? '')} <When at={key.revokedAt} />
        </span>
      ) : hasEnded(key) ? (
        'expired'
      ) : (
        'active'
      ),
  },
  { name: 'Role', value: ({ role }) => role },
  {
    name: 'User',
    value: ({ user, tenant }) => (user === null ? 'its own' : nameOf({ user, tenant })),
  },
  { name: 'Scopes', value: ({ scopes }) => scopes.join(', ') },
  {
    name: 'Last used',
    value: ({ lastUsedAt }) => lastUsedAt,
    cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : <When at={lastUsedAt} />),
  },
  {
    name: 'Created',
    value: ({ createdAt }) => createdAt,
    cell: ({ createdAt, createdBy, createdByKey }) => (
      <>
        <When at={createdAt} /> by <bdi>{visible(createdBy)}</bdi>
        {createdByKey !== null && (
          <span title={`Becomes invalid together with the key ${createdByKey}`}> with a key</span>
        )}
      </>
    ),
  },
  {
    name: 'Expires',
    value: ({ expiresAt }) => expiresAt,
    cell: ({ expiresAt }) => (expiresAt === null ? 'never' : <When at={expiresAt} />),
  },
]
