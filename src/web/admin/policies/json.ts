// Characters in a line.
const widest = 76

/** `value` as people like to read it: what fits into a line stands in one. */
export function writeJson(value: unknown, indent = ''): string {
  const flat = writeFlat(value)
  if (typeof value !== 'object' || value === null || indent.length + flat.length <= (indent === '' ? 0 : widest))
    return flat
  const inner = `${indent}  `
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return `[\n${filled(value, inner)}\n${indent}]`
  if (Array.isArray(value)) return `[\n${value.map((item) => inner + writeJson(item, inner)).join(',\n')}\n${indent}]`
  const fields = Object.entries(value).map(
    ([name, field]) => `${inner}${JSON.stringify(name)}: ${writeJson(field, inner)}`,
  )
  return fields.length === 0 ? '{}' : `{\n${fields.join(',\n')}\n${indent}}`
}

/** Plain values, as many in a line as fit. */
function filled(values: unknown[], indent: string): string {
  const lines: string[] = []
  for (const [index, value] of values.entries()) {
    const word = JSON.stringify(value) + (index === values.length - 1 ? '' : ',')
    const line = lines.at(-1)
    if (line !== undefined && line.length + word.length < widest) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(indent + word)
  }
  return lines.join('\n')
}

/** All in one line. */
export function writeFlat(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeFlat).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? ''
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}: ${writeFlat(field)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}

/** What `text` says, or what is wrong with it, with its line where the browser tells the place. */
export function readJson(text: string): { json: Record<string, unknown> } | { problem: string } {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return { json: json as Record<string, unknown> }
    return { problem: 'This must be an object: { "roles": … }' }
  } catch (thrown) {
    const message = (thrown as Error).message
    const [, position] = /at position (\d+)/.exec(message) ?? []
    const line = position === undefined ? null : text.slice(0, Number(position)).split('\n').length
    return {
      problem: `This is not JSON yet${line === null ? '' : `, line ${line}`}: ${message.replace(/ at position.*| in JSON.*/, '')}`,
    }
  }
}

/** Where in `text` the place of a problem such as `roles.member.maxSize: …` is; -1 when it cannot be told. */
export function placeOf(text: string, problem: string): number {
  const [path = ''] = problem.split(': ')
  let at = 0
  for (const name of path.split('.')) {
    const next = text.indexOf(`${JSON.stringify(name)}:`, at)
    if (next < 0) return at === 0 ? -1 : at
    at = next
  }
  return at
}
