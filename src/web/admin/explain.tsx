import { useState } from 'preact/hooks'
import type { Explanation } from '../../client/admin-types.ts'
import { Alert, Check } from '../upload/icons.tsx'
import { Field } from './field.tsx'
import { writeFlat } from './policies/json.ts'
import { Problem } from './problem.tsx'
import { errorMessage } from './query.ts'
import { useRoles } from './roles.ts'
import { admin } from './session.ts'
import { readSize } from './size.ts'

const types = ['image/jpeg', 'video/mp4', 'audio/mpeg', 'application/pdf', 'application/zip']

/** May this user send this file, and why. Nothing is sent and nothing changes. */
export function Explain() {
  const [creation, setWish] = useState({
    user: '',
    role: 'member',
    tenant: '',
    filename: '',
    contentType: '',
    size: '',
  })
  const roles = useRoles()
  const [said, setSaid] = useState<Explanation | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const of = (name: keyof typeof creation) => ({
    value: creation[name],
    set: (value: string) => setWish({ ...creation, [name]: value }),
  })

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    const size = creation.size.trim() === '' ? null : readSize(creation.size)
    if (size === undefined) {
      setProblem('A size is bytes, or such as 20 MiB.')
      return
    }
    try {
      setSaid(
        await admin.explain({
          user: creation.user.trim(),
          role: creation.role.trim(),
          tenant: creation.tenant.trim() || null,
          filename: creation.filename.trim() || 'file',
          contentType: creation.contentType.trim() || 'application/octet-stream',
          size,
        }),
      )
      setProblem(null)
    } catch (thrown) {
      setProblem(errorMessage(thrown))
    }
  }

  return (
    <section class="part" aria-label="Explain">
      <p class="quiet">May a user upload a file, and which rule decides? Nothing is uploaded and nothing changes.</p>
      <form class="box form" onSubmit={(event) => void submit(event)}>
        <div class="filters">
          <Field label="User" required {...of('user')} />
          <Field label="Role" required options={roles} {...of('role')} />
          <Field label="Tenant" {...of('tenant')} />
          <Field label="File name" hint="holiday.mp4" {...of('filename')} />
          <Field label="Type" hint="video/mp4" options={types} {...of('contentType')} />
          <Field label="Size (empty: unknown)" hint="20 MiB" {...of('size')} />
        </div>
        <div class="choices">
          <button type="submit" class="button">
            Check
          </button>
        </div>
      </form>
      <Problem words={problem} />
      {said && <Said explanation={said} />}
    </section>
  )
}

function Said({ explanation: { allowed, why, reasons, limits } }: { explanation: Explanation }) {
  return (
    <div class="box verdict" role="status">
      <p class={`verdict-word ${allowed ? 'is-good' : 'is-bad'}`}>
        {allowed ? <Check /> : <Alert />} {allowed ? 'Yes.' : 'No.'} <span class="any-text">{why}</span>
      </p>
      {reasons.length > 0 && (
        <ol class="reasons">
          {reasons.map(({ rule, code, why, from }) => (
            <li key={`${rule} ${code}`} class="any-text">
              <strong>{rule}</strong> {why}{' '}
              <span class="quiet">
                {code}
                {from && `, as ${from === 'default' ? 'the default' : `the ${from}’s section`} says`}
              </span>
            </li>
          ))}
        </ol>
      )}
      {limits && (
        <details>
          <summary>What holds for them, and which section says it</summary>
          <dl class="facts-list">
            {Object.entries(limits).flatMap(([field, { value, from }]) => [
              <dt key={field}>{field}</dt>,
              <dd key={`${field}-value`} class="any-text">
                {value === null ? 'no limit' : typeof value === 'string' ? value : writeFlat(value)}{' '}
                <span class="quiet">{from}</span>
              </dd>,
            ])}
          </dl>
        </details>
      )}
    </div>
  )
}
