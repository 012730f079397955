import type { FastifyInstance } from 'fastify'
import { UploadError } from '../core/errors/error.ts'

/**
 * Refuses bodies with a content coding (gzip, br, …) on every route of `app`, after it is known who asks and before the body is read:
 * files are stored as they come, so the coded bytes would become the file under a name that says otherwise.
 * @see RFC 9110, sections 8.4 and 15.5.16
 */
export function rejectContentCodings(app: FastifyInstance): void {
  app.addHook('preParsing', async ({ method, headers }, reply) => {
    if (!['POST', 'PUT', 'PATCH'].includes(method)) return
    const codings = String(headers['content-encoding'] ?? '').split(',')
    if (codings.every((coding) => ['', 'identity'].includes(coding.trim().toLowerCase()))) return
    reply.header('accept-encoding', 'identity')
    throw new UploadError(
      'UNSUPPORTED_CONTENT_TYPE',
      'Bodies with a Content-Encoding are not taken: send the bytes of the file as they are.',
    )
  })
}
