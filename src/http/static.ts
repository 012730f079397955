import { existsSync } from 'node:fs'
import helmet from '@fastify/helmet'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { cacheAnswers } from './cached-answers.ts'
import { securityHeaders } from './security-headers.ts'

/**
 * A page may load from and connect to this server only, run no inline script, and be framed by no other page. Objects in a bucket are not
 * shown on the page, so no other origin is named.
 */
const pageHeaders = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      // Previews of local files are blobs; icons in style sheets are data URLs.
      imgSrc: ["'self'", 'blob:', 'data:'],
      mediaSrc: ["'self'", 'blob:'],
      fontSrc: ["'self'"],
      connectSrc: ["'self'"],
      manifestSrc: ["'self'"],
      workerSrc: ["'self'", 'blob:'],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
  },
  // TLS ends at the proxy in front, so HSTS is the proxy's decision.
  strictTransportSecurity: false,
  referrerPolicy: { policy: 'no-referrer' as const },
  xFrameOptions: { action: 'deny' as const },
}

/** Serves the built pages from `folder`: the upload page at `/`, the admin page at `/admin`. Without a build the server runs without pages. */
export async function pagePlugin(app: FastifyInstance, { folder }: { folder: string }): Promise<void> {
  if (!existsSync(folder)) {
    app.log.warn('the page is not built; the server runs without it')
    return
  }
  // Helmet sets headers on Node's response, and Fastify's headers override them. Unless they are removed here, the strict policy of other
  // answers would stay and the browser would load nothing of the page.
  app.addHook('onRequest', async (_request, reply) => {
    for (const name of Object.keys(securityHeaders)) reply.removeHeader(name)
  })
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, isAsset: true }
  })
  await app.register(helmet, pageHeaders)
  // Assets have a hash of their content in their names, so their bytes depend on the path only.
  cacheAnswers(app, (path) => path.startsWith('/assets/'))
  await app.register(fastifyStatic, {
    root: folder,
    wildcard: false,
    cacheControl: false,
    // Pages are small, so a range request gets the whole file.
    acceptRanges: false,
    setHeaders(reply, path) {
      // Vite puts a hash of the content into the names under assets/.
      const isContentHashed = path.includes('/assets/')
      reply.header('cache-control', isContentHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  // The admin page contains no data: it shows what the admin API returns, which only administrators may call.
  app.get('/admin', { schema: { hide: true } }, (_request, reply) => reply.sendFile('admin.html'))
}
