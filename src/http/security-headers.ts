import type { FastifyInstance, FastifyReply } from 'fastify'

/**
 * The headers of every answer that is no page: a browser neither guesses its type, nor runs, frames or loads anything of it, nor
 * tells others its address. Pages put their own policy in the place of this one.
 */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

/** Puts the security headers on every answer of `app`. Registered before everything that sets its own. */
export function sendSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(securityHeaders)
  })
}

/** The same for an answer that no hook sees; what is set already stays. */
export function addSecurityHeaders(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(securityHeaders)) if (!reply.hasHeader(name)) reply.header(name, value)
}
