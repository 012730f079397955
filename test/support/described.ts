/*
 * Compares real answers with the OpenAPI document: the status, the header fields and the body must be those of the operation. The suites of
 * tus and RUFH compare every answer that they see, so that the document cannot miss one.
 */
import ajvCompiler from '@fastify/ajv-compiler'
import fastify, { type FastifyInstance } from 'fastify'
import { headerNames } from '../../src/contract/headers.ts'
import type { Answer, Operation, Paths } from '../../src/http/api/merge-dialects.ts'
import { openapiPlugin } from '../../src/http/api/openapi.ts'
import { rufhPlugin } from '../../src/protocols/rufh/plugin.ts'
import { tusPlugin } from '../../src/protocols/tus/plugin.ts'

export interface Document {
  paths: Paths
}

export interface SeenRequest {
  method: string
  url: string
  headers?: Record<string, unknown>
}

export interface SeenAnswer {
  status: number
  headers: Record<string, unknown>
  body: string
}

/** The document of a server with `/docs`. */
export async function documentOf(http: FastifyInstance): Promise<Document> {
  return (await http.inject('/docs/json')).json()
}

let ofFiles: Promise<Document> | undefined

/** The document of `/files`, made once. */
export function documentOfFiles(): Promise<Document> {
  ofFiles ??= describeFiles()
  return ofFiles
}

async function describeFiles(): Promise<Document> {
  const app = fastify({ exposeHeadRoutes: false })
  // Only handlers use the engine.
  const options = { engine: {} as never, path: '/files', publicUrl: undefined, maxSize: () => 1 }
  await app.register(openapiPlugin, { version: '1' })
  await app.register(async (scope) => rufhPlugin(scope, options))
  await app.register(async (scope) => tusPlugin(scope, options))
  const document = await documentOf(app)
  await app.close()
  return document
}

/** What the document does not say about `answer` to `method` at `url`, one line each; empty for an answer that it describes. */
export function undescribed(
  { paths }: Document,
  { method: sentMethod, url, headers = {} }: SeenRequest,
  answer: SeenAnswer,
): string[] {
  const method = String(headers['x-http-method-override'] ?? sentMethod)
    .trim()
    .toUpperCase()
  const path = url.split('?', 1)[0]!.replace(/(?<=.)\/$/, '')
  const operation = findOperation(paths, path, method.toLowerCase())
  const at = `${method} ${path} answered ${answer.status}`
  // A path or a method that is not described is refused.
  if (!operation) return [401, 404, 405].includes(answer.status) ? [] : [`${at}: there is no such operation`]
  const { responses } = operation
  const described = responses[answer.status] ?? responses[`${String(answer.status)[0]}XX`]
  if (!described) return [`${at}: there is no such status (${answer.body})`]
  return [...undescribedHeaders(described, answer), ...undescribedBody(described, answer, method)].map(
    (problem) => `${at}: ${problem}`,
  )
}

function findOperation(paths: Paths, path: string, method: string): Operation | undefined {
  // A path without parameters comes before one with them.
  const names = Object.keys(paths).toSorted((one, other) => one.split('{').length - other.split('{').length)
  const matching = names.filter((name) => new RegExp(`^${name.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`).test(path))
  return matching.map((name) => paths[name]![method]).find((operation) => operation !== undefined)
}

const known = new Set(headerNames('response').map((name) => name.toLowerCase()))

function undescribedHeaders({ headers = {} }: Answer, answer: SeenAnswer): string[] {
  const described = new Map(Object.entries(headers).map(([name, header]) => [name.toLowerCase(), header]))
  return Object.entries(answer.headers).flatMap(([name, value]) => {
    if (!known.has(name)) return []
    const header = described.get(name) as { schema: { type: string } } | undefined
    if (!header) return [`the header ${name} is not described`]
    const isInteger = /^\d+$/.test(String(value))
    return header.schema.type === 'integer' && !isInteger ? [`the header ${name} is no integer: ${String(value)}`] : []
  })
}

function undescribedBody({ content = {} }: Answer, { headers, body }: SeenAnswer, method: string): string[] {
  if (body === '' || method === 'HEAD') return []
  const type = String(headers['content-type'] ?? '').split(';', 1)[0]!
  const media = content[type] as { schema: object } | undefined
  if (!media) return [`a body of type ${type} is not described`]
  if (!type.endsWith('json')) return []
  return problemsOf(media.schema, JSON.parse(body))
}

type Validate = ((value: unknown) => boolean) & { errors?: object[] | null }

const compile = ajvCompiler()(
  {},
  { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, strict: false } },
)
const validators = new WeakMap<object, Validate>()

function problemsOf(schema: object, value: unknown): string[] {
  let validate = validators.get(schema)
  if (!validate) {
    validate = compile({ schema } as never) as unknown as Validate
    validators.set(schema, validate)
  }
  return validate(value) ? [] : [`the body does not fit: ${JSON.stringify(validate.errors)} ${JSON.stringify(value)}`]
}
