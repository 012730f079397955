import { useState } from 'preact/hooks'
import { type Scope, scopes } from '../../contract/scopes.ts'
import { announce } from '../ui/announcer.tsx'
import { visible } from '../ui/visible.ts'
import { Field } from './field.tsx'
import { Problem } from './problem.tsx'
import { errorMessage } from './query.ts'
import { useRoles } from './roles.ts'
import { admin } from './session.ts'

const scopeLabels: Record<Scope, string> = {
  upload: 'create uploads, send bytes and complete them',
  read: 'read and list uploads',
  cancel: 'cancel and delete uploads',
  admin: 'everything in Admin',
}
const blank = { name: '', role: '', user: '', tenant: '', expires: '', scopes: ['upload', 'read'] as Scope[] }

/** Creates a key. Its token is shown once. */
export function NewKey({ created }: { created: () => void }) {
  const [fields, setFields] = useState(blank)
  const roles = useRoles()
  const [problem, setProblem] = useState<string | null>(null)
  const [newKey, setNewKey] = useState<{ name: string; token: string } | null>(null)
  const of = (name: 'name' | 'role' | 'user' | 'tenant' | 'expires') => ({
    value: fields[name],
    set: (value: string) => setFields({ ...fields, [name]: value }),
  })

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    setProblem(null)
    try {
      const { name, token } = await admin.createKey({
        name: fields.name,
        role: fields.role,
        user: fields.user || null,
        tenant: fields.tenant || null,
        scopes: fields.scopes,
        expiresAt: fields.expires === '' ? null : new Date(fields.expires).toISOString(),
      })
      setNewKey({ name, token })
      setFields(blank)
      created()
    } catch (thrown) {
      setProblem(errorMessage(thrown))
    }
  }

  return (
    <section class="part" aria-label="Create an API key">
      {newKey && <CreatedKey {...newKey} close={() => setNewKey(null)} />}
      <details class="box" open={problem !== null}>
        <summary>Create an API key</summary>
        <form class="form" onSubmit={(event) => void submit(event)}>
          <div class="filters">
            <Field label="Name" required hint="the nightly import" {...of('name')} />
            <Field label="Role (sets its limits)" required options={roles} {...of('role')} />
            <Field label="User (empty: its own)" {...of('user')} />
            <Field label="Tenant" {...of('tenant')} />
            <Field label="Expires" type="datetime-local" {...of('expires')} />
          </div>
          <fieldset class="checks">
            <legend>Scopes</legend>
            {scopes.map((scope) => (
              <label key={scope} class="check">
                <input
                  type="checkbox"
                  checked={fields.scopes.includes(scope)}
                  onChange={(event) => {
                    const others = fields.scopes.filter((other) => other !== scope)
                    setFields({ ...fields, scopes: event.currentTarget.checked ? [...others, scope] : others })
                  }}
                />
                <span>
                  {scope} <span class="quiet">{scopeLabels[scope]}</span>
                </span>
              </label>
            ))}
          </fieldset>
          <Problem message={problem} />
          <div class="choices">
            <button type="submit" class="button" disabled={fields.scopes.length === 0}>
              Create
            </button>
          </div>
        </form>
      </details>
    </section>
  )
}

function CreatedKey({ name, token, close }: { name: string; token: string; close: () => void }) {
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(token)
    announce('The API key was copied.')
  }
  return (
    <div class="box new-key" role="status">
      <p>
        This is the API key <strong class="any-text">{visible(name)}</strong>. It is shown only once.
      </p>
      <code class="token any-text">{token}</code>
      <div class="choices">
        {/* navigator.clipboard is missing on pages without TLS. */}
        {'clipboard' in navigator && (
          <button type="button" class="button" onClick={() => void copy()}>
            Copy
          </button>
        )}
        <button type="button" class="button is-quiet" onClick={close}>
          Done
        </button>
      </div>
    </div>
  )
}
