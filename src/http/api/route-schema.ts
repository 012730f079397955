/*
 * Schemas of routes whose answers are headers more than bodies, for Fastify and OpenAPI: header fields by their names in the table of the
 * contract, and errors by their codes.
 */
import type { FastifyInstance } from 'fastify'
import { errorAnswer } from '../../contract/error.ts'
import type { HeaderField } from '../../contract/headers.ts'
import { type ErrorCode, errorCodes } from '../../core/errors/error.ts'
import { jsonSchema } from './json-schema.ts'

type Fields = Record<string, HeaderField>

/** Makes the schemas in `app` descriptions only: the dialect validates its requests, with its own errors, and writes its answers itself. */
export function describeOnly(app: FastifyInstance): void {
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
}

/** The request headers `names` of `fields`, for the `headers` of a route's schema. */
export function requestHeaders<Table extends Fields>(
  fields: Table,
  names: (keyof Table & string)[],
  required: (keyof Table & string)[] = [],
) {
  return { type: 'object', properties: pick(fields, names), required }
}

/** An answer without a body. */
export function emptyAnswer<Table extends Fields>(
  description: string,
  fields: Table,
  names: (keyof Table & string)[] = [],
) {
  return { type: 'null', description, headers: pick(fields, names) }
}

/** The JSON Schema of a body that has `errorAnswer`. */
interface ErrorSchema {
  properties: { error: { properties: { code: object } } }
}

/** The schema of a body of errors, which `ErrorForm` names. Every route repeats it with its own codes, so it is made once. */
export function errorSchemaOf(body: typeof errorAnswer): ErrorSchema {
  return jsonSchema(body, 'output') as unknown as ErrorSchema
}

/** How a dialect answers errors. */
export interface ErrorForm {
  dialect: string
  mediaType: string
  body: ErrorSchema
  /** The statuses of a code that differ from the table of errors. */
  statusesOf?(code: ErrorCode): number[]
  /** The header fields that errors of a status have. */
  headers(status: number): Fields
}

/** How the JSON API answers errors. */
export const jsonErrors = { mediaType: 'application/json', body: errorSchemaOf(errorAnswer) }

/** The error answers of a route by status: each names its codes, and its body has one of them. */
export function errorAnswersOf(codes: readonly ErrorCode[], form: ErrorForm) {
  const byStatus = new Map<number, Set<ErrorCode>>()
  for (const code of codes)
    for (const status of form.statusesOf?.(code) ?? [errorCodes[code]])
      byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  return Object.fromEntries([...byStatus].map(([status, names]) => [status, errorAnswerOf(status, [...names], form)]))
}

function errorAnswerOf(status: number, codes: ErrorCode[], { dialect, mediaType, body, headers }: ErrorForm) {
  const { error } = body.properties
  const withCodes = { ...error, properties: { ...error.properties, code: { ...error.properties.code, enum: codes } } }
  const schema = { ...body, properties: { ...body.properties, error: withCodes } }
  return {
    description: `${dialect}: ${codes.join(', ')}`,
    headers: headers(status),
    content: { [mediaType]: { schema } },
  }
}

function pick(fields: Fields, names: string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, fields[name]!]))
}
