import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Me } from '../../contract/me.ts'
import type { ByUploadId, OwnUpload, OwnUploads, OwnUploadsQuery, SetFingerprint } from '../../contract/upload.ts'
import type { Engine } from '../../core/engine.ts'
import { categories } from '../../core/policy/categories.ts'
import { effectivePolicy, type PolicyDocument } from '../../core/policy/policy.ts'
import type { Upload } from '../../core/upload.ts'
import { schemas } from './api-schemas.ts'
import { sendNoStore } from './no-store.ts'
import { readPage } from './page.ts'
import { viewParts, viewUpload } from './upload-view.ts'

export interface ApiOptions {
  engine: Engine
  policies: () => PolicyDocument
  /** The address of an upload in tus and RUFH. */
  urlOf: (id: string, request: FastifyRequest) => string
  /** The URL at which browsers can download a completed object; `null` if there is none. */
  objectUrlOf: (key: string) => string | null
}

/** The JSON API: the authenticated user and their uploads. The auth plugin must have set `request.actor`. */
export async function apiPlugin(
  app: FastifyInstance,
  { engine, policies, urlOf, objectUrlOf }: ApiOptions,
): Promise<void> {
  sendNoStore(app)

  app.get('/me', { schema: schemas.me }, async ({ actor }): Promise<Me> => {
    const policy = effectivePolicy(policies(), actor)?.policy
    const user = { user: actor.id, tenant: actor.tenant, role: actor.role, admin: actor.isAdmin }
    if (!policy) return { ...user, policy: null }
    return {
      ...user,
      policy: {
        maxSize: engine.limits(actor).maxSize,
        mediaTypes: policy.mediaTypes ?? ['*/*'],
        categories: policy.categories ?? [...categories],
        timeToLiveMs: policy.timeToLiveMs,
      },
    }
  })

  app.get<{ Querystring: OwnUploadsQuery }>(
    '/uploads',
    { schema: schemas.list, config: { actions: ['list'] } },
    async (request): Promise<OwnUploads> => {
      const { actor, query } = request
      const find = (limit: number) => engine.list(actor, { ...query, limit })
      const { items, next } = await readPage(query.limit, find, ({ id }) => id)
      return { uploads: items.map((upload) => view(upload, request)), next }
    },
  )

  app.get<{ Params: ByUploadId }>(
    '/uploads/:id',
    { schema: schemas.get, config: { actions: ['read'] } },
    async (request) => {
      return view(await engine.get(request.actor, request.params.id), request)
    },
  )

  app.get<{ Params: ByUploadId }>(
    '/uploads/:id/parts',
    { schema: schemas.parts, config: { actions: ['read'] } },
    async ({ actor, params }) => viewParts(await engine.listParts(actor, params.id)),
  )

  app.put<{ Params: ByUploadId; Body: SetFingerprint }>(
    '/uploads/:id/fingerprint',
    {
      schema: schemas.setFingerprint,
      config: { actions: ['append'] },
      // Access is checked before the body is read. 8 KiB hold the longest fingerprint with its JSON.
      async preParsing(request) {
        await engine.countParts(request.actor, request.params.id, 'append')
        request.jsonBodyLimit = 8 * 1024
      },
    },
    async ({ actor, params, body }, reply) => {
      await engine.setFingerprint(actor, params.id, body.fingerprint)
      return reply.code(204).send()
    },
  )

  app.delete<{ Params: ByUploadId }>(
    '/uploads/:id',
    { schema: schemas.cancel, config: { actions: ['cancel'] } },
    async ({ actor, params }, reply) => {
      await engine.cancel(actor, params.id)
      return reply.code(204).send()
    },
  )

  function view(upload: Upload, request: FastifyRequest): OwnUpload {
    return viewUpload(upload, urlOf(upload.id, request), objectUrlOf)
  }
}
