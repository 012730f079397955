import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { partialUploadType } from './dispatch.ts'
import { limitHeader } from './fields.ts'
import type { RufhOptions } from './options.ts'
import { dialectOf } from './versions.ts'

/** "Limits": answers OPTIONS with the limits of this server. Without a token they are those of the role with the largest limit. */
export function answerOptions(options: RufhOptions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(204).headers(discovery(options, request)).send()
}

/**
 * Adds the headers that RUFH clients look for to every answer to OPTIONS at the endpoint. A plain OPTIONS names no protocol, so another
 * protocol of `app` may answer it.
 */
export function announceRufh(app: FastifyInstance, options: Pick<RufhOptions, 'path' | 'maxSize'>): void {
  app.addHook('onSend', async (request, reply) => {
    const path = request.url.split('?', 1)[0]!.replace(/\/$/, '')
    const isEndpoint = request.method === 'OPTIONS' && path === app.prefix + options.path
    if (isEndpoint && !reply.hasHeader('upload-limit')) reply.headers(discovery(options, request))
  })
}

function discovery({ maxSize }: Pick<RufhOptions, 'maxSize'>, request: FastifyRequest): Record<string, string> {
  return {
    ...limitHeader(dialectOf(request.headers), { maxSize: maxSize() }),
    // Drafts -10 and -11 ask for this header of RFC 5789.
    'accept-patch': partialUploadType,
  }
}
