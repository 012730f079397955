import { useState } from 'preact/hooks'
import { type Scope, scopes } from '../../client/admin-types.ts'
import { announce } from '../upload/announcer.tsx'
import { visible } from '../upload/visible.ts'
import { Field } from './field.tsx'
import { Problem } from './problem.tsx'
import { errorMessage } from './query.ts'
import { useRoles } from './roles.ts'
import { admin } from './session.ts'

const scopeWords: Record<Scope, string> = {
  upload: 'create, send and complete uploads',
  read: 'read and list uploads',
  cancel: 'cancel and delete uploads',
  admin: 'everything in Admin',
}
const blank = { name: '', role: '', user: '', tenant: '', expires: '', scopes: ['upload', 'read'] as Scope[] }

/** Creates a key. The key itself is told once. */
export function NewKey({ made }: { made: () => void }) {
  const [creation, setWish] = useState(blank)
  const roles = useRoles()
  const [problem, setProblem] = useState<string | null>(null)
  const [told, setTold] = useState<{ name: string; token: string } | null>(null)
  const of = (name: 'name' | 'role' | 'user' | 'tenant' | 'expires') => ({
    value: creation[name],
    set: (value: string) => setWish({ ...creation, [name]: value }),
  })

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    setProblem(null)
    try {
      const { name, token } = await admin.makeKey({
        name: creation.name,
        role: creation.role,
        user: creation.user || null,
        tenant: creation.tenant || null,
        scopes: creation.scopes,
        expiresAt: creation.expires === '' ? null : new Date(creation.expires).toISOString(),
      })
      setTold({ name, token })
      setWish(blank)
      made()
    } catch (thrown) {
      setProblem(errorMessage(thrown))
    }
  }

  return (
    <section class="part" aria-label="Create an API key">
      {told && <Told {...told} close={() => setTold(null)} />}
      <details class="box" open={problem !== null}>
        <summary>Create an API key</summary>
        <form class="form" onSubmit={(event) => void submit(event)}>
          <div class="filters">
            <Field label="Name" required hint="the nightly import" {...of('name')} />
            <Field label="Role (whose limits it has)" required options={roles} {...of('role')} />
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
                  checked={creation.scopes.includes(scope)}
                  onChange={(event) => {
                    const others = creation.scopes.filter((other) => other !== scope)
                    setWish({ ...creation, scopes: event.currentTarget.checked ? [...others, scope] : others })
                  }}
                />
                <span>
                  {scope} <span class="quiet">{scopeWords[scope]}</span>
                </span>
              </label>
            ))}
          </fieldset>
          <Problem words={problem} />
          <div class="choices">
            <button type="submit" class="button" disabled={creation.scopes.length === 0}>
              Create
            </button>
          </div>
        </form>
      </details>
    </section>
  )
}

function Told({ name, token, close }: { name: string; token: string; close: () => void }) {
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(token)
    announce('The key is copied.')
  }
  return (
    <div class="box new-key" role="status">
      <p>
        This is the API key <strong class="any-text">{visible(name)}</strong>. It is shown only once.
      </p>
      <code class="token any-text">{token}</code>
      <div class="choices">
        {/* Only a secure page may write to the clipboard. */}
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
