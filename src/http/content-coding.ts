import type { FastifyInstance } from 'fastify'
import { errors } from '../core/errors/errors.ts'

/**
 * Refuses bodies with a content coding (gzip, br, …) on every route of `app`, after authentication and before the body is read. Bodies
 * are stored as they come, so the encoded bytes would become a file whose name and type describe the decoded ones.
 * @throws UploadError UNSUPPORTED_CONTENT_TYPE
 * @see RFC 9110, sections 8.4 and 15.5.16
 */
export function rejectContentCodings(app: FastifyInstance): void {
  app.addHook('preParsing', async ({ method, headers }, reply) => {
    if (!['POST', 'PUT', 'PATCH'].includes(method)) return
    if (!hasContentCoding(headers['content-encoding'])) return
    reply.header('accept-encoding', 'identity')
    throw errors.contentCodingNotSupported()
  })
}

/** Whether a value of `Content-Encoding` names a coding other than `identity`. */
export function hasContentCoding(value = ''): boolean {
  return value.split(',').some((coding) => !['', 'identity'].includes(coding.trim().toLowerCase()))
}
