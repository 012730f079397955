import type { Statement } from './statement.ts'

/** A statement whose text names its parameters, as `:size`. */
export interface NamedStatement<Name extends string> extends Statement {
  /** The values in the order of the statement. */
  valuesOf(parameters: Readonly<Record<Name, unknown>>): unknown[]
}

// Not the second colon of a cast.
const parameter = /(?<![:\w]):([a-z]\w*)/gi

/** The statement `name`; `text` names its parameters. */
export function namedStatement<Name extends string>(name: string, text: string): NamedStatement<Name> {
  const names: Name[] = []
  const numbered = text.replace(parameter, (_, found: Name) => {
    if (!names.includes(found)) names.push(found)
    return `$${names.indexOf(found) + 1}`
  })
  return { name, text: numbered, valuesOf: (parameters) => names.map((found) => parameters[found]) }
}
