import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { limitHeader } from './fields.ts'
import type { RufhOptions } from './options.ts'
import { dialectOf } from './versions.ts'

/** "Limits": what may be uploaded here. A question without a token is answered for the role that may send most. */
export function answerOptions(options: RufhOptions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(204).headers(discovery(options, request)).send()
}

/**
 * Adds what RUFH clients look for to every answer to OPTIONS in `app` at the place of creation: a plain OPTIONS does not
 * say in which protocol it asks, and another one may answer it.
 */
export function announceRufh(app: FastifyInstance, options: Pick<RufhOptions, 'path' | 'maxSize'>): void {
  app.addHook('onSend', async (request, reply) => {
    const isHere = request.method === 'OPTIONS' && request.url.split('?', 1)[0]!.replace(/\/$/, '') === options.path
    if (isHere && !reply.hasHeader('upload-limit')) reply.headers(discovery(options, request))
  })
}

function discovery({ maxSize }: Pick<RufhOptions, 'maxSize'>, request: FastifyRequest): Record<string, string> {
  return {
    ...limitHeader(dialectOf(request.headers), { maxSize: maxSize() }),
    // Wanted by drafts -10 and -11, and what RFC 5789 has for it.
    'accept-patch': 'application/partial-upload',
  }
}
