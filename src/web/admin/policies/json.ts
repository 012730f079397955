// Characters per line.
const lineWidth = 76

/** Formats `value` for reading: an object or array that fits into a line stays on one line. */
export function writeJson(value: unknown, indent = ''): string {
  const flat = writeFlat(value)
  if (typeof value !== 'object' || value === null || indent.length + flat.length <= (indent === '' ? 0 : lineWidth))
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

/** Plain values, as many per line as fit. */
function filled(values: unknown[], indent: string): string {
  const lines: string[] = []
  for (const [index, value] of values.entries()) {
    const item = JSON.stringify(value) + (index === values.length - 1 ? '' : ',')
    const line = lines.at(-1)
    if (line !== undefined && line.length + item.length < lineWidth) lines[lines.length - 1] = `${line} ${item}`
    else lines.push(indent + item)
  }
  return lines.join('\n')
}

/** Formats `value` on one line. */
export function writeFlat(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeFlat).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? ''
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}: ${writeFlat(field)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}

/** Parses `text`. An error message contains the line if the browser reports a position. */
export function readJson(text: string): { json: Record<string, unknown> } | { problem: string } {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return { json: json as Record<string, unknown> }
    return { problem: 'The policies must be an object: { "roles": … }' }
  } catch (thrown) {
    const message = (thrown as Error).message
    const [, position] = /at position (\d+)/.exec(message) ?? []
    const line = position === undefined ? null : text.slice(0, Number(position)).split('\n').length
    return {
      problem: `This is not valid JSON${line === null ? '' : `, line ${line}`}: ${message.replace(/ at position.*| in JSON.*/, '')}`,
    }
  }
}

/** The position in `text` of the field that a problem such as `roles.member.maxSize: …` names; -1 when it is not found. */
export function positionOf(text: string, problem: string): number {
  const [path = ''] = problem.split(': ')
  let at = 0
  for (const name of path.split('.')) {
    const next = text.indexOf(`${JSON.stringify(name)}:`, at)
    if (next < 0) return at === 0 ? -1 : at
    at = next
  }
  return at
}
