import { useEffect, useId, useState } from 'preact/hooks'

interface FieldProps {
  label: string
  value: string
  set(value: string): void
  type?: 'text' | 'number' | 'datetime-local' | 'search'
  hint?: string
  required?: boolean
  options?: readonly string[]
}

/** A labelled text field; `options` are suggestions. */
export function Field({ label, value, set, type = 'text', hint, required = false, options }: FieldProps) {
  const id = useId()
  return (
    <div class="labelled">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={type}
        value={value}
        required={required}
        placeholder={hint}
        autocomplete="off"
        spellcheck={false}
        list={options && `${id}-options`}
        min={type === 'number' ? 0 : undefined}
        onInput={(event) => set(event.currentTarget.value)}
      />
      {options && (
        <datalist id={`${id}-options`}>
          {options.map((option) => (
            <option key={option} value={option} />
          ))}
        </datalist>
      )}
    </div>
  )
}

/** A field that filters a list: it calls `set` after a pause in typing. */
export function Filter({ value, set, ...rest }: FieldProps) {
  const [text, setText] = useState(value)
  useEffect(() => {
    // The parameter is trimmed; the field keeps a trailing space because the user may continue to type.
    if (value !== text.trim()) setText(value)
  }, [value])
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => set(text), 300)
    return () => clearTimeout(timer)
  }, [text])
  return <Field {...rest} value={text} set={setText} />
}

/** A labelled select. The first choice means no filter. */
export function Choice(props: {
  label: string
  value: string
  set(value: string): void
  choices: readonly (readonly [value: string, label: string])[]
}) {
  const id = useId()
  return (
    <div class="labelled">
      <label for={id}>{props.label}</label>
      <select id={id} value={props.value} onChange={(event) => props.set(event.currentTarget.value)}>
        {props.choices.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </div>
  )
}
