/* The errors of the JSON API in OpenAPI: what a route can answer follows from what the route is, so no route lists what all have. */
import type { FastifyInstance, RouteOptions } from 'fastify'
import { type ErrorCode, errorCodes } from '../../core/errors/error.ts'
import { anyRequest, anyUpload } from './error-codes.ts'
import { errorAnswersOf, jsonErrors } from './route-schema.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route answers beyond what its method, path, body and query tell. */
    errors?: readonly ErrorCode[]
  }
}

const body = ['INVALID_FIELD', 'MISSING_FIELD', 'FILE_TOO_LARGE', 'BODY_TIMEOUT'] as const satisfies ErrorCode[]
/** What a change of an upload can be answered with: by its state, by the request that holds it, and by the store. */
const change = [
  'UPLOAD_CLOSED',
  'UPLOAD_COMPLETED',
  'UPLOAD_LOCKED',
  'STORE_UNAVAILABLE',
  'R2_ERROR',
] as const satisfies ErrorCode[]

const form = { ...jsonErrors, dialect: 'JSON API', headers: () => ({}) }

/** Adds to each described route of `app` its errors by status; a route that lists errors itself is left as it is. */
export function describeErrors(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { schema } = route
    if (!schema?.tags) return
    const answers = (schema.response ?? {}) as Record<string, unknown>
    if (Object.keys(answers).some((status) => Number(status) >= 400)) return
    route.schema = { ...schema, response: { ...answers, ...errorAnswersOf(codesOf(route), form) } }
  })
}

function codesOf({ method, url, schema, config }: RouteOptions): ErrorCode[] {
  const isOfUpload = url.includes('/uploads/:')
  const isRead = [method].flat().every((verb) => verb === 'GET' || verb === 'HEAD')
  const codes = [
    ...anyRequest,
    ...(schema?.body ? body : []),
    ...(schema?.querystring ? (['INVALID_FIELD'] as const) : []),
    ...(isOfUpload ? anyUpload : []),
    ...(isOfUpload && !isRead ? change : []),
    ...(url.includes(':') && !isOfUpload ? (['NOT_FOUND'] as const) : []),
    ...(config?.errors ?? []),
  ]
  return [...new Set<ErrorCode>(codes)].toSorted((one, other) => errorCodes[one] - errorCodes[other])
}
