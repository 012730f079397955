import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors } from '../../core/errors/errors.ts'
import type { Upload } from '../../core/upload.ts'
import { answerError, errorHeaders, logError, toUploadError } from '../../http/errors.ts'
import type { Call } from './engine-store.ts'
import { tusVersion } from './request.ts'

/**
 * Copies the answer of @tus/server into the reply, and adds the headers that only the engine can fill in.
 * @throws the error of the engine, or an UploadError for a request that @tus/server itself rejected
 */
export async function answer(
  reply: FastifyReply,
  response: Response,
  call: Call,
  location: (id: string) => string,
): Promise<void> {
  if (response.status >= 400) throw call.thrown ?? (await toError(response))
  reply.code(response.status)
  for (const [name, value] of response.headers)
    if (!name.startsWith('access-control-') && name !== 'location') reply.header(name, value)
  if (call.upload) addUploadHeaders(reply, call, call.upload, location)
}

function addUploadHeaders(reply: FastifyReply, call: Call, upload: Upload, location: (id: string) => string): void {
  if (call.method === 'POST') reply.header('location', location(upload.id))
  addExpiry(reply, upload)
  if (call.method !== 'HEAD') return
  if (upload.metadata !== null) reply.header('upload-metadata', upload.metadata)
  if (upload.isPartial) reply.header('upload-concat', 'partial')
  if (upload.kind !== 'final') return
  reply.header('upload-concat', upload.uploadConcat)
  // The client never sends the length of a final upload: the server knows it once it knows the lengths of the partial uploads.
  reply.removeHeader('upload-defer-length')
  // "The response to a HEAD request for a final upload SHOULD NOT contain the Upload-Offset header unless the concatenation
  // has been successfully finished."
  if (upload.state !== 'completed') reply.removeHeader('upload-offset')
}

/** "This header MUST be included in every PATCH response if the upload is going to expire." */
export function addExpiry(reply: FastifyReply, { expiresAt, state }: Upload): void {
  if (expiresAt !== null && state !== 'completed') reply.header('upload-expires', expiresAt.toUTCString())
}

/** What @tus/server rejects without asking the engine: a creation with no length, or with two. */
async function toError(response: Response): Promise<Error> {
  const reason = (await response.text()).trim()
  if (response.status === 400) return errors.tusRejected({ reason })
  return new Error(`@tus/server answered ${response.status} without the engine: ${reason}`)
}

/** Answers an error like every other protocol, with the headers that tus clients read: Allow, Upload-Offset, Tus-Version. */
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
 * tus-js-client takes every answer to HEAD except 2xx and 423 for the end of the upload, and creates a new one from byte 0. A HEAD is
 * therefore answered with 423 for an error that may be gone in a moment. Other clients retry on 423 as well.
 */
function isTransient(status: number): boolean {
  return status >= 500 || status === 429
}
