import type { FastifyReply, FastifyRequest } from 'fastify'
import { UploadError } from '../../core/errors/error.ts'
import type { Upload } from '../../core/upload.ts'
import { answerError, errorHeaders, logError, toUploadError } from '../../http/errors.ts'
import type { Call } from './engine-store.ts'
import { tusVersion } from './request.ts'

/**
 * Puts @tus/server's answer into the reply: a success with what the engine knows added, a refusal in our one form.
 * @throws whatever the engine threw, or an UploadError for @tus/server's own refusals
 */
export async function answer(
  reply: FastifyReply,
  response: Response,
  call: Call,
  location: (id: string) => string,
): Promise<void> {
  if (response.status >= 400) throw call.thrown ?? (await errorOf(response))
  reply.code(response.status)
  for (const [name, value] of response.headers)
    if (!name.startsWith('access-control-') && name !== 'location') reply.header(name, value)
  if (call.upload) describe(reply, call, call.upload, location)
}

function describe(reply: FastifyReply, call: Call, upload: Upload, location: (id: string) => string): void {
  if (call.method === 'POST') reply.header('location', location(upload.id))
  tellExpiry(reply, upload)
  if (call.method !== 'HEAD') return
  if (upload.metadata !== null) reply.header('upload-metadata', upload.metadata)
  if (upload.concat?.kind === 'partial') reply.header('upload-concat', 'partial')
  if (upload.concat?.kind !== 'final') return
  reply.header('upload-concat', upload.concat.header)
  // No client will tell the length: it is known when the lengths of the partial uploads are.
  reply.removeHeader('upload-defer-length')
  // "The response to a HEAD request for a final upload SHOULD NOT contain the Upload-Offset header unless the concatenation
  // has been successfully finished."
  if (upload.state !== 'completed') reply.removeHeader('upload-offset')
}

/** "This header MUST be included in every PATCH response if the upload is going to expire." */
export function tellExpiry(reply: FastifyReply, { expiresAt, state }: Upload): void {
  if (expiresAt !== null && state !== 'completed') reply.header('upload-expires', expiresAt.toUTCString())
}

/** What @tus/server refuses by itself: a creation that tells no length, or two. */
async function errorOf(response: Response): Promise<Error> {
  const words = (await response.text()).trim()
  if (response.status === 400) return new UploadError('INVALID_REQUEST', `${words}.`)
  return new Error(`@tus/server answered ${response.status} by itself: ${words}`)
}

/** As everywhere, and with what a client needs to do better: the version, the methods, the offset from which it may go on. */
export function answerTusError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toUploadError(thrown)
  const { status, facts } = error
  if (status === 405) reply.header('allow', 'OPTIONS, HEAD, POST, PATCH, DELETE')
  if (status === 409 && typeof facts.offset === 'number') reply.header('upload-offset', facts.offset)
  if (status === 412) reply.header('tus-version', tusVersion)
  if (request.method === 'HEAD' && isTransient(status)) {
    logError(request, error, 423)
    void reply.code(423).headers(errorHeaders(error)).send()
  } else {
    answerError(thrown, request, reply)
  }
}

/**
 * tus-js-client takes every answer to HEAD but 2xx and 423 for the end of the upload and begins a new one, from the first
 * byte. So what may be otherwise in a moment is "locked" when it is asked by HEAD; other clients try again on 423 as well.
 */
function isTransient(status: number): boolean {
  return status >= 500 || status === 429
}
