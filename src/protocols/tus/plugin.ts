/*
 * The tus dialect. @tus/server knows the protocol's verbs and words the answers; what an upload is, who may touch it and
 * where its bytes go is the engine's business. It is handed a request without a body: the engine reads Node's own. What
 * tus 1.0 asks for beyond what the package does stands around it, a file each.
 */

import { Server } from '@tus/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import { isId } from '../../core/upload-view.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { type ResumeTokens, resumeHeader } from '../../http/identity/resume.ts'
import { addressFor } from '../../http/location.ts'
import { ignoreUnusableTypes } from '../../http/type-hints.ts'
import { answer, answerTusError, tellExpiry } from './answers.ts'
import { checksumAlgorithms } from './checksum.ts'
import { type Call, caller, EngineStore } from './engine-store.ts'
import {
  checkVersion,
  chunkType,
  type Method,
  readAppend,
  readCreation,
  readFirstAppend,
  readMethod,
  tusVersion,
} from './request.ts'

export interface TusOptions {
  engine: Engine
  /** Where the endpoint is, such as `/files`. */
  path: string
  /** What stands before it in `Location`: the public URL, or nothing for a relative one. */
  publicUrl: string | undefined
  /** The largest file that any role may send, for those who ask before they say who they are. */
  maxSize: () => number
  /** Makes the token with which whoever begins an upload can go on with it. */
  resumeTokens?: ResumeTokens | undefined
}

// Every method that may carry X-HTTP-Method-Override; without it, those that tus does not know are refused.
const routed = ['OPTIONS', 'HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const transientStatuses = { newLock: () => ({ lock: async () => {}, unlock: async () => {} }) }

/** Registers the endpoint on `app`, whose hooks have put `request.actor` on every request. */
export async function tusPlugin(
  app: FastifyInstance,
  { engine, path, publicUrl, maxSize, resumeTokens }: TusOptions,
): Promise<void> {
  const tus = new Server({
    path,
    datastore: new EngineStore(engine),
    locker: transientStatuses,
    relativeLocation: true,
    namingFunction: () => 'named-by-the-engine',
    // What a role may send is the engine's to say, in its words.
    maxSize: ({ method }) => (method === 'OPTIONS' ? maxSize() : 0),
  })

  ignoreUnusableTypes(app)
  app.removeAllContentTypeParsers()
  // Nothing is read here: the body belongs to the engine.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler(answerTusError)
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (request.method === 'OPTIONS') return
    reply.header('tus-resumable', tusVersion)
    // Of HEAD the protocol demands it; a 404 or 410 that a cache kept would be as wrong as an offset.
    reply.header('cache-control', 'no-store')
  })
  // What lies deeper is no upload either, and is told so in tus, so that pages of other origins can read it.
  for (const url of [path, `${path}/:id`, `${path}/:id/*`]) {
    const config = { takesResumeTokens: url === `${path}/:id` }
    app.route({ method: routed, url, config, exposeHeadRoute: false, handler: serve })
  }

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const method = readMethod(request)
    if (method === 'OPTIONS') return discover(reply)
    try {
      return await answerAs(method, request, reply)
    } catch (error) {
      if (method === 'PATCH' && isUploadError(error) && leavesAlive(error)) await describeRejected(request, reply)
      throw error
    }
  }

  async function answerAs(method: Method, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    checkVersion(request.headers)
    const url = `http://tus${path}${readAddress(request, method)}`
    const call = readCall(request, method, path)
    let answersNow = () => {}
    call.onBegun = () => {
      answersNow = whenAnswerLost(request, reply, (wasWritten) =>
        engine.markAnswerLost(call.upload!.id, wasWritten ? call.upload!.offset : null),
      )
    }
    const response = await caller.run(call, () =>
      tus.handleWeb(new Request(url, { method, headers: headersFor(request, call) })),
    )
    answersNow()
    await answer(reply, response, call, (id) => addressFor(request, `${path}/${id}`, publicUrl))
    if (method === 'POST' && call.upload!.state !== 'completed' && resumeTokens)
      reply.header(resumeHeader, await resumeTokens(call.actor, call.upload!))
    return reply.send(null)
  }

  /** A refused PATCH has not seen the upload, or not as whoever asks may; what they may not know is left out. */
  async function describeRejected(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { id = '' } = request.params as { id?: string }
    try {
      tellExpiry(reply, await engine.get(request.actor, id))
    } catch (error) {
      if (!isUploadError(error)) throw error
    }
  }

  async function discover(reply: FastifyReply): Promise<FastifyReply> {
    const response = await tus.handleWeb(new Request(`http://tus${path}`, { method: 'OPTIONS' }))
    for (const name of ['tus-version', 'tus-extension', 'tus-max-size']) {
      const value = response.headers.get(name)
      if (value !== null) reply.header(name, value)
    }
    return reply.code(204).header('tus-checksum-algorithm', checksumAlgorithms).send(null)
  }
}

/** Whether there still is an upload after the refusal, and somebody to ask about it. */
function leavesAlive({ status }: UploadError): boolean {
  return status < 500 && status !== 404 && status !== 410
}

/** Where below the endpoint the request goes. @throws UploadError METHOD_NOT_ALLOWED, UPLOAD_NOT_FOUND */
function readAddress({ params }: FastifyRequest, method: Method): string {
  // Many clients are given the endpoint with a slash at its end.
  const { id = '', '*': rest } = params as { id?: string; '*'?: string }
  if (method === 'POST' && id !== '')
    throw new UploadError('METHOD_NOT_ALLOWED', 'An upload is created at the endpoint, not below it.')
  if (method === 'POST') return ''
  if (!isId(id) || rest !== undefined) throw new UploadError('UPLOAD_NOT_FOUND', 'There is no such upload.')
  return `/${id}`
}

function readCall({ actor, raw }: FastifyRequest, method: Method, path: string): Call {
  const creation = method === 'POST' ? readCreation(raw, path) : null
  if (creation) return { actor, method, creation, chunk: readFirstAppend(raw, creation) }
  return { actor, method, creation, chunk: method === 'PATCH' ? readAppend(raw) : null }
}

/**
 * What @tus/server is told. Nothing else reaches it: it refuses requests over headers that are none of its business, and
 * checks lengths before the engine could, against offsets that it does not know.
 */
function headersFor({ headers }: FastifyRequest, { method, creation, chunk }: Call): Record<string, string> {
  const words: Record<string, string> = { 'tus-resumable': tusVersion }
  if (chunk) words['content-type'] = chunkType
  if (method === 'PATCH') words['upload-offset'] = String(chunk!.offset)
  if (!creation) return words
  if (creation.size !== null) words['upload-length'] = String(creation.size)
  // The length of a final upload is not known before the engine has looked at the partial ones.
  const deferred = creation.concat?.kind === 'final' ? '1' : headers['upload-defer-length']
  if (deferred !== undefined) words['upload-defer-length'] = String(deferred)
  return words
}
