/*
 * The tus dialect. @tus/server reads the headers and words the answers; what an upload is, who may touch it and where its
 * bytes go is the engine's business. It is handed a request without a body: the engine reads Node's own. What tus 1.0 asks
 * for beyond what the package does stands around it, a file each.
 */
import { Server } from '@tus/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { UploadError } from '../../core/errors.ts'
import { answer, answerTusError } from './answers.ts'
import { checksumAlgorithms, readChecksum } from './checksum.ts'
import { readConcat } from './concat.ts'
import { allowOrigin, type Origins } from './cors.ts'
import { type Call, caller, EngineStore } from './engine-store.ts'
import { readMetadata } from './metadata.ts'

export interface TusOptions {
  engine: Engine
  /** Where the endpoint is, such as `/files`. */
  path: string
  /** What stands before it in `Location`: the public URL, or nothing for a relative one. */
  publicUrl: string | undefined
  origins: Origins
  /** The largest file that any role may send, for those who ask before they say who they are. */
  maxSize: number
}

const version = '1.0.0'
const methods = ['HEAD', 'PATCH', 'POST', 'DELETE']
// What @tus/server reads. Nothing else reaches it: it refuses requests over headers that are none of its business.
const passedOn = [
  'tus-resumable',
  'upload-length',
  'upload-offset',
  'upload-defer-length',
  'content-type',
  'content-length',
  'host',
]
const unlocked = { newLock: () => ({ lock: async () => {}, unlock: async () => {} }) }

/** Registers the endpoint on `app`, whose hooks have put `request.actor` on every request. */
export async function tusPlugin(
  app: FastifyInstance,
  { engine, path, publicUrl, origins, maxSize }: TusOptions,
): Promise<void> {
  const tus = new Server({
    path,
    datastore: new EngineStore(engine),
    locker: unlocked,
    relativeLocation: true,
    namingFunction: () => 'named-by-the-engine',
    maxSize,
  })
  const location = (id: string) => `${publicUrl?.replace(/\/+$/, '') ?? ''}${path}/${id}`

  app.removeAllContentTypeParsers()
  // Nothing is read here: the body belongs to the engine.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler(answerTusError)
  app.addHook('onSend', async (request, reply) => {
    allowOrigin(request, reply, origins)
    reply.header('x-content-type-options', 'nosniff')
    if (request.method !== 'OPTIONS') reply.header('tus-resumable', version)
    if (reply.statusCode === 412) reply.header('tus-version', version)
  })

  app.options(path, discover)
  app.options(`${path}/:id`, discover)
  app.route({
    method: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    url: `${path}/:id`,
    exposeHeadRoute: false,
    handler: serve,
  })
  app.route({ method: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'], url: path, exposeHeadRoute: false, handler: serve })

  async function discover(_request: FastifyRequest, reply: FastifyReply) {
    const response = await tus.handleWeb(new Request(`http://tus${path}`, { method: 'OPTIONS' }))
    for (const name of ['tus-version', 'tus-extension', 'tus-max-size'])
      reply.header(name, response.headers.get(name) ?? '')
    return reply.code(204).header('tus-checksum-algorithm', checksumAlgorithms).send(null)
  }

  async function serve(request: FastifyRequest, reply: FastifyReply) {
    const method = methodOf(request)
    if (request.headers['tus-resumable'] !== version) {
      throw new UploadError('PRECONDITION_FAILED', `This endpoint speaks tus ${version}: Tus-Resumable must say so.`)
    }
    checkAddress(method, request)
    checkNumbers(request)
    if (method === 'PATCH' && header(request, 'upload-offset') === undefined) {
      throw new UploadError('INVALID_REQUEST', 'A PATCH must say at which byte it goes on: Upload-Offset is missing.')
    }
    const { raw } = request
    if (method === 'PATCH' && raw.headers['content-type'] !== 'application/offset+octet-stream') {
      throw new UploadError(
        'UNSUPPORTED_CONTENT_TYPE',
        'The content type of a PATCH must be application/offset+octet-stream.',
      )
    }
    if (method === 'POST') readMetadata(header(request, 'upload-metadata'))
    const call: Call = {
      actor: request.actor,
      method,
      raw,
      concat: method === 'POST' ? readConcat(header(request, 'upload-concat'), path) : null,
      digest: readChecksum(raw),
    }
    const response = await caller.run(call, () =>
      tus.handleWeb(new Request(`http://tus${request.url}`, { method, headers: headersFor(request, call) })),
    )
    return answer(reply, response, call, location)
  }
}

/** "The request method MUST be treated as the value of X-HTTP-Method-Override; the actual method MUST be ignored." */
function methodOf(request: FastifyRequest): string {
  const method = header(request, 'x-http-method-override')?.toUpperCase() ?? request.method
  if (!methods.includes(method)) throw new UploadError('METHOD_NOT_ALLOWED', 'An upload is not read here.')
  return method
}

function checkAddress(method: string, request: FastifyRequest): void {
  const hasId = (request.params as { id?: string }).id !== undefined
  if (hasId === (method !== 'POST')) return
  throw hasId
    ? new UploadError('METHOD_NOT_ALLOWED', 'An upload is created at the endpoint, not below it.')
    : new UploadError('UPLOAD_NOT_FOUND', 'There is no such upload.')
}

function checkNumbers(request: FastifyRequest): void {
  for (const name of ['upload-offset', 'upload-length']) {
    const value = header(request, name)
    if (value === undefined || (/^(0|[1-9]\d*)$/.test(value) && Number.isSafeInteger(Number(value)))) continue
    throw new UploadError(
      'INVALID_REQUEST',
      `${name === 'upload-offset' ? 'Upload-Offset' : 'Upload-Length'} must be a whole number of bytes.`,
    )
  }
}

function headersFor(request: FastifyRequest, { concat }: Call): Headers {
  const headers = new Headers()
  for (const name of passedOn) {
    const value = header(request, name)
    if (value !== undefined) headers.set(name, value)
  }
  if (concat?.kind !== 'final') return headers
  if (headers.has('upload-length'))
    throw new UploadError('INVALID_REQUEST', 'The length of a final upload is that of its parts: it must not be told.')
  // Its length is not known before the engine has looked at the partial uploads.
  headers.set('upload-defer-length', '1')
  headers.delete('content-type')
  return headers
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
