/*
 * tus 1.0. @tus/server implements the methods of the protocol and their answers; the engine owns uploads, access and bytes.
 * @tus/server is given a request without a body, because the engine reads the body from Node's own request. Each further
 * requirement of tus 1.0 that the package does not meet has a file of its own in this folder.
 */

import { Server } from '@tus/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Action } from '../../core/access/actions.ts'
import type { Engine } from '../../core/engine.ts'
import { isUploadError, type UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import { isId } from '../../core/upload-state.ts'
import { describeOnly } from '../../http/api/route-schema.ts'
import { leaveBodiesUnread } from '../../http/body/unread-body.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { tusAlgorithmNames } from '../../http/digest/fields.ts'
import { type ResumeTokens, resumeHeader } from '../../http/identity/resume.ts'
import { addressFor } from '../../http/location.ts'
import { ignoreUnusableTypes } from '../../http/type-hints.ts'
import { addExpiry, answer, answerTusError } from './answers.ts'
import { type Call, currentCall, EngineStore } from './engine-store.ts'
import {
  checkVersion,
  type Method,
  patchType,
  readAppend,
  readCreation,
  readFirstAppend,
  readMethod,
  tusVersion,
} from './request.ts'
import { endpointSchemas, type Schemas, uploadSchemas } from './schemas.ts'

export interface TusOptions {
  engine: Engine
  /** The path of the endpoint, such as `/files`. */
  path: string
  /** The public URL that `Location` starts with; `undefined` makes `Location` relative. */
  publicUrl: string | undefined
  /** The largest file that any role may send, for clients that ask without a token. */
  maxSize: () => number
  /** Makes the token with which the client that created an upload can resume it. */
  resumeTokens?: ResumeTokens | undefined
}

// Every method may carry X-HTTP-Method-Override. Without that header, `readMethod` rejects GET and PUT.
const routed = ['OPTIONS', 'HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

// The engine has its own locks.
const noLocks = { newLock: () => ({ lock: async () => {}, unlock: async () => {} }) }

/** Registers the endpoint on `app`, whose hooks have put `request.actor` on every request. */
export async function tusPlugin(
  app: FastifyInstance,
  { engine, path, publicUrl, maxSize, resumeTokens }: TusOptions,
): Promise<void> {
  const store = new EngineStore(engine)
  const tus = new Server({
    path,
    datastore: store,
    locker: noLocks,
    relativeLocation: true,
    namingFunction: () => 'named-by-the-engine',
    // The engine checks the limit of the role: 0 turns off the check of @tus/server.
    maxSize: ({ method }) => (method === 'OPTIONS' ? maxSize() : 0),
  })

  // No byte passes @tus/server, so the streams that it makes for a body would be made for nothing.
  const writeToStore = (_body: unknown, { id }: { id: string }) => store.write(null, id)
  for (const handler of [tus.handlers.POST, tus.handlers.PATCH]) Object.assign(handler, { writeToStore })

  ignoreUnusableTypes(app)
  leaveBodiesUnread(app)
  app.setErrorHandler(answerTusError)
  describeOnly(app)
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (request.method === 'OPTIONS') return
    reply.header('tus-resumable', tusVersion)
    // tus demands this for HEAD. A cached 404 or 410 would mislead clients as much as a cached offset.
    reply.header('cache-control', 'no-store')
  })
  // Deeper paths name no upload. They are answered in tus as well, so that pages of other origins can read the 404.
  const urls: [string, Action[], Schemas][] = [
    [path, ['create'], endpointSchemas],
    [`${path}/:id`, ['append', 'read', 'cancel'], uploadSchemas],
    [`${path}/:id/*`, [], {}],
  ]
  for (const [url, actions, schemas] of urls)
    for (const method of routed)
      app.route({
        method,
        url,
        schema: schemas[method] ?? { hide: true },
        config: { actions },
        exposeHeadRoute: false,
        handler: serve,
      })

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const method = readMethod(request)
    if (method === 'OPTIONS') return discover(reply)
    try {
      return await answerAs(method, request, reply)
    } catch (error) {
      if (method === 'PATCH' && isUploadError(error) && keepsUpload(error)) await addExpiryOf(request, reply)
      throw error
    }
  }

  async function answerAs(method: Method, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    checkVersion(request.headers)
    const url = `http://tus${path}${readUploadPath(request, method)}`
    const call = readCall(request, method, path)
    let checkConnection = () => {}
    call.onCreated = () => {
      checkConnection = whenAnswerLost(request, reply, (wasWritten) =>
        engine.markAnswerLost(call.upload!.id, wasWritten ? call.upload!.offset : null),
      )
    }
    const response = await currentCall.run(call, () =>
      tus.handleWeb(new Request(url, { method, headers: headersFor(request, call) })),
    )
    checkConnection()
    // tus-js-client sends a DELETE again whose answer was lost, and takes every answer but 204 for a failure.
    if (method === 'DELETE') whenAnswerLost(request, reply, () => engine.markAnswerLost(idIn(request), null))
    await answer(reply, response, call, (id) => addressFor(request, `${path}/${id}`, publicUrl))
    if (method === 'POST' && call.upload!.state !== 'completed' && resumeTokens)
      reply.header(resumeHeader, resumeTokens(call.actor, call.upload!))
    return reply.send(null)
  }

  /** Adds `Upload-Expires` to a rejected PATCH, for which the engine returned no upload. A client that may not read the upload gets none. */
  async function addExpiryOf(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      addExpiry(reply, await engine.get(request.actor, idIn(request)))
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
    return reply.code(204).header('tus-checksum-algorithm', tusAlgorithmNames).send(null)
  }
}

/** Whether the upload still exists after `error`, and the server can read it. */
function keepsUpload({ status }: UploadError): boolean {
  return status < 500 && status !== 404 && status !== 410
}

/** The path of the request below the endpoint. @throws UploadError METHOD_NOT_ALLOWED, UPLOAD_NOT_FOUND */
function readUploadPath({ params }: FastifyRequest, method: Method): string {
  // Many clients are configured with a slash at the end of the endpoint.
  const { id = '', '*': rest } = params as { id?: string; '*'?: string }
  if (method === 'POST' && id !== '') throw errors.creationBelowEndpoint()
  if (method === 'POST') return ''
  if (!isId(id) || rest !== undefined) throw errors.uploadNotFound()
  return `/${id}`
}

function readCall({ actor, raw }: FastifyRequest, method: Method, path: string): Call {
  const creation = method === 'POST' ? readCreation(raw, path) : null
  if (creation) return { actor, method, creation, append: readFirstAppend(raw, creation) }
  return { actor, method, creation, append: method === 'PATCH' ? readAppend(raw) : null }
}

/**
 * The headers that @tus/server gets. It gets no others: it rejects requests for headers that do not concern it, and checks lengths
 * against offsets that only the engine knows.
 */
function headersFor({ headers }: FastifyRequest, { method, creation, append }: Call): Record<string, string> {
  const forwarded: Record<string, string> = { 'tus-resumable': tusVersion }
  if (append) forwarded['content-type'] = patchType
  if (method === 'PATCH') forwarded['upload-offset'] = String(append!.offset)
  if (!creation) return forwarded
  if (creation.size !== null) forwarded['upload-length'] = String(creation.size)
  // The engine computes the length of a final upload from its partial uploads.
  const deferred = creation.kind === 'final' ? '1' : headers['upload-defer-length']
  if (deferred !== undefined) forwarded['upload-defer-length'] = String(deferred)
  return forwarded
}

function idIn(request: FastifyRequest): string {
  return (request.params as { id?: string }).id ?? ''
}
