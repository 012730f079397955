import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Code, UploadError } from '../../core/errors.ts'
import type { Upload } from '../../core/upload.ts'
import { answerError, toRefusal } from '../../http/errors.ts'
import type { Call } from './engine-store.ts'

// Refusals that @tus/server makes by itself, by status.
const codes: Record<number, Code> = {
  400: 'INVALID_REQUEST',
  403: 'FORBIDDEN',
  404: 'UPLOAD_NOT_FOUND',
  409: 'OFFSET_MISMATCH',
  410: 'UPLOAD_GONE',
  412: 'PRECONDITION_FAILED',
  413: 'FILE_TOO_LARGE',
  415: 'UNSUPPORTED_CONTENT_TYPE',
  501: 'NOT_IMPLEMENTED',
}

/**
 * Brings @tus/server's answer to the client: a success with what the engine knows added, a refusal in our one form.
 * @throws whatever the engine threw, or an UploadError for @tus/server's own refusals
 */
export async function answer(
  reply: FastifyReply,
  response: Response,
  call: Call,
  location: (id: string) => string,
): Promise<FastifyReply> {
  if (response.status >= 400) throw call.thrown ?? (await refusalOf(response))
  reply.code(response.status)
  for (const [name, value] of response.headers)
    if (!name.startsWith('access-control-') && name !== 'location') reply.header(name, value)
  if (call.upload) describe(reply, call, call.upload, location)
  return reply.send(null)
}

function describe(reply: FastifyReply, call: Call, upload: Upload, location: (id: string) => string): void {
  if (call.method === 'POST') reply.header('location', location(upload.id))
  // "This header MUST be included in every PATCH response if the upload is going to expire."
  if (upload.expiresAt !== null && upload.state !== 'completed')
    reply.header('upload-expires', upload.expiresAt.toUTCString())
  if (call.method !== 'HEAD') return
  reply.header('cache-control', 'no-store')
  if (upload.metadata !== null) reply.header('upload-metadata', upload.metadata)
  if (upload.concat?.kind === 'partial') reply.header('upload-concat', 'partial')
  if (upload.concat?.kind !== 'final') return
  reply.header('upload-concat', upload.concat.header)
  if (upload.state === 'completed') return
  // "The response to a HEAD request for a final upload SHOULD NOT contain the Upload-Offset header unless the concatenation
  // has been successfully finished."
  reply.removeHeader('upload-offset')
  if (upload.size !== null) reply.removeHeader('upload-defer-length').header('upload-length', upload.size)
}

async function refusalOf(response: Response): Promise<UploadError> {
  const code = codes[response.status] ?? 'INVALID_REQUEST'
  const text = (await response.text()).trim().replace(/[.\s]*$/, '')
  return new UploadError(code, `${text === '' ? 'The request is not valid' : text}.`)
}

/** As everywhere, and with the offset from which a client may go on. */
export function answerTusError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { code, facts } = toRefusal(thrown)
  if (code === 'OFFSET_MISMATCH' && typeof facts.offset === 'number') reply.header('upload-offset', facts.offset)
  answerError(thrown, request, reply)
}
