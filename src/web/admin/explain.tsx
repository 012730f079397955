import { useState } from 'preact/hooks'
import type { Explanation } from '../../contract/explain.ts'
import { Alert, Check } from '../ui/icons.tsx'
import { Field } from './field.tsx'
import { writeFlat } from './policies/json.ts'
import { Problem } from './problem.tsx'
import { errorMessage } from './query.ts'
import { useRoles } from './roles.ts'
import { admin } from './session.ts'
import { readSize } from './size.ts'

const types = ['image/jpeg', 'video/mp4', 'audio/mpeg', 'application/pdf', 'application/zip']

/** Shows whether a user may upload a file, and why. Nothing is uploaded and nothing changes. */
export function Explain() {
  const [fields, setFields] = useState({
    user: '',
    role: 'member',
    tenant: '',
    filename: '',
    contentType: '',
    size: '',
  })
  const roles = useRoles()
  const [explanation, setExplanation] = useState<Explanation | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const of = (name: keyof typeof fields) => ({
    value: fields[name],
    set: (value: string) => setFields({ ...fields, [name]: value }),
  })

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    const size = fields.size.trim() === '' ? null : readSize(fields.size)
    if (size === undefined) {
      setProblem('The size is not valid. Enter bytes, or a number with a unit such as 20 MiB.')
      return
    }
    try {
      setExplanation(
        await admin.explain({
          user: fields.user.trim(),
          role: fields.role.trim(),
          tenant: fields.tenant.trim() || null,
          filename: fields.filename.trim() || 'file',
          contentType: fields.contentType.trim() || 'application/octet-stream',
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
      <Problem message={problem} />
      {explanation && <Result explanation={explanation} />}
    </section>
  )
}

function Result({ explanation: { allowed, why, reasons, limits } }: { explanation: Explanation }) {
  return (
    <div class="box result" role="status">
      <p class={`result-line ${allowed ? 'is-good' : 'is-bad'}`}>
        {allowed ? <Check /> : <Alert />} {allowed ? 'Yes.' : 'No.'} <span class="any-text">{why}</span>
      </p>
      {reasons.length > 0 && (
        <ol class="reasons">
          {reasons.map(({ rule, code, why, from }) => (
            <li key={`${rule} ${code}`} class="any-text">
              <strong>{rule}</strong> {why}{' '}
              <span class="quiet">
                {code}
                {from && `, from ${from === 'default' ? 'the defaults' : `the section of the ${from}`}`}
              </span>
            </li>
          ))}
        </ol>
      )}
      {limits && (
        <details>
          <summary>Limits that apply, and the section each comes from</summary>
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
