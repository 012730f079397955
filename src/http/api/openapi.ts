import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { cacheAnswers } from '../cached-answers.ts'
import { addCommonHeaders } from './common-headers.ts'
import { icon } from './icon.ts'
import { mergeDialects, type Paths, pathInDialect } from './merge-dialects.ts'

// The plugin's default policy upgrades every request to https, which fails on a server that is reached over http.
const contentSecurityPolicy =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

const iconType = 'image/svg+xml'

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
            'Uploads, their users, and what they may send. `/files` speaks tus 1.0 and Resumable Uploads for HTTP (RUFH); the headers of a request tell which.',
          license: { name: 'Apache-2.0' },
        },
        // The main routes come first.
        tags: [{ name: 'Resumable uploads', description: 'tus 1.0, and Resumable Uploads for HTTP (RUFH)' }],
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
        security: [{ bearer: [] }],
      },
      hideUntagged: true,
      // HEAD tells the offset of an upload.
      exposeHeadRoutes: true,
      transform: ({ schema, url, route }) => {
        // The only constraint of a route is the dialect of its requests.
        const [dialect] = Object.values((route.constraints ?? {}) as Record<string, string>)
        return { schema, url: dialect === undefined ? url : pathInDialect(url, dialect) }
      },
      transformObject: (description) =>
        'openapiObject' in description ? complete(description.openapiObject) : description.swaggerObject,
    })
    await app.register(async (scope) => {
      scope.addHook('onRoute', (route) => {
        if (route.url.startsWith('/docs/static/')) route.config = { ...route.config, isAsset: true }
      })
      cacheAnswers(scope, () => true)
      await scope.register(swaggerUi, {
        routePrefix: '/docs',
        indexPrefix: '.',
        staticCSP: contentSecurityPolicy,
        // Without the bar of the page's library at the top.
        uiConfig: { layout: 'BaseLayout' },
        logo: { type: iconType, content: icon },
        theme: {
          title: 'Landfall API',
          favicon: [{ filename: 'landfall.svg', rel: 'icon', type: iconType, sizes: 'any', content: icon }],
        },
      })
    })
  },
  { name: 'landfall-openapi' },
)

/** The document with one operation for each path and method. */
function complete<Document extends object>(document: Document): Document {
  const { paths } = document as { paths: Paths }
  // Relative to /docs/json, so the address is right below a path prefix of a proxy too. As a plugin option it would have to be absolute.
  return { ...document, servers: [{ url: '..' }], paths: addCommonHeaders(mergeDialects(paths)) }
}
