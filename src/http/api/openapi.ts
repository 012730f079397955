import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { cacheAnswers } from '../cached-answers.ts'

// The plugin's default policy upgrades every request to https, which fails on a server that is reached over http.
const contentSecurityPolicy =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

/** Describes the tagged routes of the app as OpenAPI at `/docs/json` and as a page at `/docs`. Register it before the routes. */
export const openapiPlugin = fastifyPlugin<{ version: string }>(
  async (app: FastifyInstance, { version }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Landfall',
          version,
          description:
            'The authenticated user, what they may upload, and their uploads. Files are uploaded to `/files` with tus 1.0.',
          license: { name: 'Apache-2.0' },
        },
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
        security: [{ bearer: [] }],
      },
      hideUntagged: true,
      // Relative to /docs/json, so the address is right below a path prefix of a proxy too. As a plugin option it would have to be absolute.
      transformObject: (description) =>
        'openapiObject' in description
          ? { ...description.openapiObject, servers: [{ url: '..' }] }
          : description.swaggerObject,
    })
    await app.register(async (scope) => {
      scope.addHook('onRoute', (route) => {
        if (route.url.startsWith('/docs/static/')) route.config = { ...route.config, isAsset: true }
      })
      cacheAnswers(scope, () => true)
      await scope.register(swaggerUi, { routePrefix: '/docs', indexPrefix: '.', staticCSP: contentSecurityPolicy })
    })
  },
  { name: 'landfall-openapi' },
)
