import { existsSync } from 'node:fs'
import helmet from '@fastify/helmet'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { cacheAnswers } from './cached-answers.ts'
import { securityHeaders } from './security-headers.ts'

/**
 * What a page may load and reach: this server only, no inline script, no foreign frame around it. Objects in a bucket
 * are not shown on the page, so no other origin is named.
 */
const pageHeaders = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      // Previews of files that are not uploaded yet are blobs; icons in style sheets are data URLs.
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
  // TLS belongs to the proxy in front, and so does the promise to keep it.
  strictTransportSecurity: false,
  referrerPolicy: { policy: 'no-referrer' as const },
  xFrameOptions: { action: 'deny' as const },
}

/** Serves the built pages from `folder`: at `/` for everybody, at `/admin` for operators. Without a build there are none, and everything else works. */
export async function pagePlugin(app: FastifyInstance, { folder }: { folder: string }): Promise<void> {
  if (!existsSync(folder)) {
    app.log.warn('the page is not built; the server runs without it')
    return
  }
  // Helmet writes to Node's response, over which Fastify's headers win: those of answers that are no page would stay, and the
  // browser would load nothing of the page.
  app.addHook('onRequest', async (_request, reply) => {
    for (const name of Object.keys(securityHeaders)) reply.removeHeader(name)
  })
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, isAsset: true }
  })
  await app.register(helmet, pageHeaders)
  // Named by their content: whatever else a request says, these are the bytes.
  cacheAnswers(app, (path) => path.startsWith('/assets/'))
  await app.register(fastifyStatic, {
    root: folder,
    wildcard: false,
    cacheControl: false,
    // A page is small: whoever wants a piece of it gets all of it.
    acceptRanges: false,
    setHeaders(reply, path) {
      // Vite puts a hash of the content into the names under assets/.
      const isNamedByContent = path.includes('/assets/')
      reply.header('cache-control', isNamedByContent ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  // It holds nothing by itself: what it shows, the admin API tells administrators only.
  app.get('/admin', { schema: { hide: true } }, (_request, reply) => reply.sendFile('admin.html'))
}
