/*
 * tus and RUFH have their routes at the same paths: the headers of a request tell which of them it speaks. OpenAPI has one operation for a
 * path and a method, so the operations of both are merged into one. Their bodies differ by media type; what both have is said once.
 */

export interface Parameter {
  in: string
  name: string
  required?: boolean
  description?: string
}

export interface Answer {
  description: string
  headers?: Record<string, { description?: string }>
  content?: Record<string, unknown>
}

export interface Operation {
  summary?: string
  description?: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, unknown> }
  responses: Record<string, Answer>
}

export type Paths = Record<string, Record<string, Operation>>

// A fragment is no part of a path, so no route can have this name.
const separator = '#'

/** The name under which the operation of a route of `dialect` waits to be merged. */
export function pathInDialect(path: string, dialect: string): string {
  return `${separator}${dialect}${path}`
}

/** `paths` with the operations of every dialect merged into those of their path. */
export function mergeDialects(paths: Paths): Paths {
  const merged: Paths = {}
  for (const [name, operations] of Object.entries(paths)) {
    const path = name.startsWith(separator) ? name.slice(name.indexOf('/')) : name
    const target = (merged[path] ??= {})
    for (const [method, operation] of Object.entries(operations)) {
      const other = target[method]
      target[method] = other ? merge(operation, other) : operation
    }
  }
  return merged
}

function merge(one: Operation, other: Operation): Operation {
  const body = mergeBodies(one, other)
  const description = joined(one.description, other.description)
  return {
    ...one,
    ...(description !== undefined && { description }),
    parameters: mergeParameters(one.parameters ?? [], other.parameters ?? []),
    ...(body && { requestBody: body }),
    responses: mergeAnswers(one.responses, other.responses),
  }
}

/** What only one dialect requires is optional. */
function mergeParameters(ones: Parameter[], others: Parameter[]): Parameter[] {
  const find = (list: Parameter[], { in: where, name }: Parameter) =>
    list.find((parameter) => parameter.in === where && parameter.name === name)
  const shared = ones.map((one) => {
    const other = find(others, one)
    const description = joined(one.description, other?.description)
    const isRequired = one.required === true && other?.required === true
    return { ...one, required: isRequired, ...(description !== undefined && { description }) }
  })
  return [...shared, ...others.filter((other) => !find(ones, other)).map((other) => ({ ...other, required: false }))]
}

function mergeBodies({ requestBody: one }: Operation, { requestBody: other }: Operation): Operation['requestBody'] {
  if (!one || !other) return one ?? other
  return { ...one, ...other, content: { ...one.content, ...other.content } }
}

function mergeAnswers(ones: Record<string, Answer>, others: Record<string, Answer>): Record<string, Answer> {
  const merged = { ...others }
  for (const [status, one] of Object.entries(ones)) {
    const other = others[status]
    merged[status] = other ? mergeAnswer(one, other) : one
  }
  return merged
}

function mergeAnswer(one: Answer, other: Answer): Answer {
  const headers = { ...one.headers }
  for (const [name, header] of Object.entries(other.headers ?? {})) {
    const description = joined(headers[name]?.description, header.description)
    headers[name] = { ...header, ...(description !== undefined && { description }) }
  }
  return {
    description: joined(one.description, other.description)!,
    headers,
    ...((one.content || other.content) && { content: { ...one.content, ...other.content } }),
  }
}

/** Both texts, or one of them if they are equal or the other is missing. */
function joined(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined || one === other) return one ?? other
  return `${one.replace(/\.?$/, '.')} ${other}`
}
