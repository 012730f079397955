import fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { onTestFinished } from 'vitest'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { userOf } from '../../../src/core/upload.ts'
import { apiPlugin } from '../../../src/http/api/api.ts'
import { openapiPlugin } from '../../../src/http/api/openapi.ts'
import { closeAfterUnreadBody } from '../../../src/http/body/unread-body.ts'
import { answerError, answerErrors } from '../../../src/http/errors.ts'
import { authPlugin, type TokenCheck } from '../../../src/http/identity/auth.ts'
import { legacyRestPlugin, restPlugin } from '../../../src/protocols/rest/plugin.ts'
import { singleRequestPlugin } from '../../../src/protocols/rest/single-request.ts'
import { type OpenEngine, openEngine } from '../../support/open-engine.ts'

export interface RestApp extends OpenEngine {
  http: FastifyInstance
  /** Sends a request of ada, unless it has a token of its own. */
  ask(request: InjectOptions & { token?: string }): Promise<Answer>
  /** Creates an upload. @returns its id */
  init(size: number, more?: Record<string, unknown>): Promise<string>
  chunk(id: string, index: number, bytes: Buffer, headers?: Record<string, string>): Promise<Answer>
}

export interface Answer {
  status: number
  headers: Record<string, string | number | string[] | undefined>
  /** The code of an error, or `undefined`. */
  code: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: the tests check the fields of an answer
  body: any
  text: string
}

/** Tokens are `user:role`, such as `ada:creator`. */
const tokens: TokenCheck = async (token) => {
  const [id, role] = token.split(':') as [string, string?]
  return role === undefined ? null : userOf(id, role)
}

/** REST with the prefixes of the server, over a real engine and database. Chunks have 10 bytes. */
export async function openRest(overrides: Parameters<typeof openEngine>[0] = {}): Promise<RestApp> {
  const opened = await openEngine(overrides)
  const { engine } = opened
  const http = fastify({
    bodyLimit: 64 * 1024,
    requestTimeout: 0,
    frameworkErrors: answerError,
    forceCloseConnections: true,
  })
  onTestFinished(() => http.close())
  closeAfterUnreadBody(http)
  answerErrors(http)
  await http.register(openapiPlugin, { version: '0' })
  const bodyIdleMs = overrides.bodyIdleMs ?? 2000
  await http.register(
    async (scope) => {
      await scope.register(authPlugin, { checks: [tokens] })
      await scope.register(apiPlugin, {
        engine,
        policies: () => defaultPolicies,
        urlOf: (id) => `/files/${id}`,
        objectUrlOf: () => null,
      })
      await scope.register(restPlugin, { engine, json: { idleMs: bodyIdleMs, capacity: null } })
      await scope.register(singleRequestPlugin, {
        engine,
        bodyIdleMs,
        urlOf: (id) => `/files/${id}`,
        objectUrlOf: () => null,
      })
    },
    { prefix: '/v1' },
  )
  await http.register(
    async (scope) => {
      await scope.register(authPlugin, { checks: [tokens] })
      await scope.register(legacyRestPlugin, { engine, json: { idleMs: bodyIdleMs, capacity: null } })
    },
    { prefix: '/api/upload' },
  )

  async function ask({
    token = 'ada:creator',
    headers,
    ...request
  }: InjectOptions & { token?: string }): Promise<Answer> {
    const answer = await http.inject({ ...request, headers: { authorization: `Bearer ${token}`, ...headers } })
    const isJson = String(answer.headers['content-type']).startsWith('application/json')
    const body = isJson && answer.payload !== '' ? answer.json() : null
    return {
      status: answer.statusCode,
      headers: answer.headers,
      code: body?.error?.code,
      body,
      text: answer.payload,
    }
  }

  return {
    ...opened,
    http,
    ask,
    async init(size, more = {}) {
      const payload = { file_name: 'notes.txt', total_size: size, ...more }
      return (await ask({ method: 'POST', url: '/v1/uploads/init', payload })).body.upload_id
    },
    chunk: (id, index, bytes, headers = {}) =>
      ask({
        method: 'PUT',
        url: `/v1/uploads/${id}/chunk`,
        headers: { 'x-chunk-index': String(index), 'content-type': 'application/octet-stream', ...headers },
        payload: bytes,
      }),
  }
}
