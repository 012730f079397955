import type { FastifyInstance, FastifyReply } from 'fastify'

/**
 * Headers of every answer except pages: a browser must not sniff the type, run, frame or load anything from the answer, or send its
 * address as a referrer. Pages replace the policy with their own.
 */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

/** Sets the security headers on every answer of `app`. Register it before plugins that set their own. */
export function sendSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(securityHeaders)
  })
}

/** Sets the security headers on an answer that hooks do not run for; headers that are set already stay. */
export function addSecurityHeaders(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(securityHeaders)) if (!reply.hasHeader(name)) reply.header(name, value)
}
