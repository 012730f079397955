import { useId, useState } from 'preact/hooks'
import { Field } from '../field.tsx'
import { type CommonField, commonFields, fieldText, rolesOf, withField } from './common-fields.ts'

interface RoleFormProps {
  policies: Record<string, unknown>
  change(policies: Record<string, unknown>): void
}

/** The limits of one role as a form. It changes the text in the editor. */
export function RoleForm({ policies, change }: RoleFormProps) {
  const id = useId()
  const roles = rolesOf(policies)
  const names = Object.keys(roles)
  const [chosen, setChosen] = useState(names[0] ?? '')
  const name = names.includes(chosen) ? chosen : names[0]
  if (name === undefined) return null
  const of = (field: CommonField) => ({
    label: field.label,
    hint: `default, or ${field.hint}`,
    value: fieldText(roles[name]!, field),
    set: (text: string) => change(withField(policies, name, field, text)),
  })
  return (
    <details class="box">
      <summary>Change the limits of a role</summary>
      <div class="form">
        <div class="filters">
          <div class="labelled">
            <label for={id}>Role</label>
            <select id={id} value={name} onChange={(event) => setChosen(event.currentTarget.value)}>
              {names.map((role) => (
                <option key={role} value={role}>
                  {role}
                </option>
              ))}
            </select>
          </div>
          {commonFields.map((field) => (
            <PolicyField key={`${name} ${field.name}`} {...of(field)} />
          ))}
        </div>
        <p class="quiet small">
          Empty: the default applies. “unlimited”: no limit. All other fields are in the text below.
        </p>
      </div>
    </details>
  )
}

/** A field that keeps the text as typed until the policies change in another way. */
function PolicyField({ value, set, ...rest }: { label: string; hint: string; value: string; set(text: string): void }) {
  const [text, setText] = useState(value)
  const isSame =
    text
      .split(',')
      .map((part) => part.trim())
      .join(', ') === value
  return (
    <Field
      {...rest}
      value={isSame ? text : value}
      set={(typed) => {
        setText(typed)
        set(typed)
      }}
    />
  )
}
