import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { createFairShare } from '../core/fair-share.ts'
import type { PolicyDocument } from '../core/policy/policy.ts'
import type { Feature } from '../features/feature.ts'
import { apiPlugin } from '../http/api/api.ts'
import { describeErrors } from '../http/api/describe-errors.ts'
import type { BodyCapacity, JsonBodyOptions } from '../http/body/json-bodies.ts'
import { allowOrigins, answerPreflights } from '../http/cors.ts'
import { answerNotFound } from '../http/errors.ts'
import { type AuthOptions, authPlugin } from '../http/identity/auth.ts'
import type { ResumeTokens } from '../http/identity/resume.ts'
import { addressFor } from '../http/location.ts'
import { shareBetweenUsers } from '../http/user-shares.ts'
import { legacyRestPlugin, restPlugin } from '../protocols/rest/plugin.ts'
import { singleRequestPlugin } from '../protocols/rest/single-request.ts'
import { announceRufh } from '../protocols/rufh/discovery.ts'
import { rufhPlugin } from '../protocols/rufh/plugin.ts'
import { tusPlugin } from '../protocols/tus/plugin.ts'

const uploadsPath = '/files'

/** What the routes use. */
export interface RouteParts {
  engine: RunningEngine
  features: Feature[]
  auth: AuthOptions
  resumeTokens: ResumeTokens | undefined
  policies(): PolicyDocument
  /** Bytes; the largest file that any role may send, for clients that ask before they authenticate. */
  maxSize(): number
  objectUrlOf(key: string): string | null
  bodies: BodyCapacity
  json: JsonBodyOptions
}

/** Registers the API, the protocols and the routes of the features in `http`, below its prefix. */
export async function registerRoutes(http: FastifyInstance, config: Config, parts: RouteParts): Promise<void> {
  const { engine, features, resumeTokens, policies, maxSize, objectUrlOf, bodies, json } = parts
  const cors = { origins: config.CORS_ORIGINS, headers: config.CORS_HEADERS, credentials: config.CORS_CREDENTIALS }
  const publicUrl = config.PUBLIC_URL
  const urlOf = (id: string, request: FastifyRequest) => addressFor(request, `${uploadsPath}/${id}`, publicUrl)
  const restOptions = { engine, publicUrl, resumeTokens, json }

  const requests = createFairShare(config.REQUESTS_AT_ONCE)

  async function authenticate(scope: FastifyInstance): Promise<void> {
    await scope.register(authPlugin, parts.auth)
    shareBetweenUsers(scope, requests)
    for (const feature of features) feature.userHooks?.(scope)
  }

  // With CORS headers on 404, a page of another origin sees the 404; without them its browser reports a network error.
  for (const prefix of ['/v1', '/api', uploadsPath]) {
    await http.register(
      async (scope) => {
        allowOrigins(scope, cors)
        answerNotFound(scope)
      },
      { prefix },
    )
  }
  await http.register(
    async (scope) => {
      describeErrors(scope)
      // Before authentication, so that pages of other origins can read a 401 too.
      allowOrigins(scope, cors)
      answerPreflights(scope)
      await authenticate(scope)
      await scope.register(apiPlugin, { engine, policies, urlOf, objectUrlOf })
      await scope.register(restPlugin, restOptions)
      const gate = bodies.gate
      const single = { engine, publicUrl, urlOf, objectUrlOf, bodyIdleMs: config.BODY_IDLE_TIMEOUT, gate }
      await scope.register(singleRequestPlugin, single)
      for (const { routes, adminRoutes } of features) {
        if (routes) await scope.register((own) => routes(own, engine))
        if (adminRoutes) await scope.register((own) => adminRoutes(own, engine), { prefix: '/admin' })
      }
    },
    { prefix: '/v1' },
  )
  await http.register(
    async (scope) => {
      allowOrigins(scope, cors)
      answerPreflights(scope)
      await authenticate(scope)
      await scope.register(legacyRestPlugin, restOptions)
    },
    { prefix: '/api/upload' },
  )
  const interimResponses = config.INTERIM_RESPONSES
  await http.register(async (scope) => {
    allowOrigins(scope, cors)
    describeErrors(scope)
    for (const { openRoutes } of features) if (openRoutes) await scope.register((own) => openRoutes(own, engine))
  })
  const endpoint = { engine, path: uploadsPath, publicUrl, resumeTokens, maxSize, interimResponses }
  // tus and RUFH share one path: the headers of a request tell which protocol it uses.
  await http.register(async (scope) => {
    allowOrigins(scope, cors)
    // A plain OPTIONS request names no protocol: its response announces both.
    announceRufh(scope, endpoint)
    await authenticate(scope)
    await scope.register(rufhPlugin, endpoint)
    await scope.register(tusPlugin, endpoint)
  })
}
