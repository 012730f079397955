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

/** A line of text with its name; with `options` some that are suggested. */
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

/** The same for lists that are asked: it is not asked before the typing rests. */
export function Filter({ value, set, ...rest }: FieldProps) {
  const [text, setText] = useState(value)
  useEffect(() => {
    // What is asked is without the spaces around it, which somebody may be going on after.
    if (value !== text.trim()) setText(value)
  }, [value])
  useEffect(() => {
    if (text === value) return
    const resting = setTimeout(() => set(text), 300)
    return () => clearTimeout(resting)
  }, [text])
  return <Field {...rest} value={text} set={setText} />
}

/** One of a few. The first choice is none of them. */
export function Choice(props: {
  label: string
  value: string
  set(value: string): void
  choices: readonly (readonly [value: string, words: string])[]
}) {
  const id = useId()
  return (
    <div class="labelled">
      <label for={id}>{props.label}</label>
      <select id={id} value={props.value} onChange={(event) => props.set(event.currentTarget.value)}>
        {props.choices.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </div>
  )
}
