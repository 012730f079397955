import type { FastifyInstance } from 'fastify'
import type { Engine } from '../core/engine.ts'
import { categories, effectivePolicy, type PolicyDocument } from '../core/policy.ts'
import type { Upload } from '../core/upload.ts'
import { type ById, type Mark, type MeView, type PageQuery, schemas, type UploadView } from './api-schemas.ts'

export interface ApiOptions {
  engine: Engine
  policies: () => PolicyDocument
  /** The address of an upload, as protocols give it out. */
  urlOf: (id: string) => string
  /** Where browsers reach a finished object, if anywhere. */
  objectUrlOf: (key: string) => string | null
}

/** The JSON API beside the protocols: who am I, my uploads. Wants `request.actor`. */
export async function apiPlugin(
  app: FastifyInstance,
  { engine, policies, urlOf, objectUrlOf }: ApiOptions,
): Promise<void> {
  const config = { takesResumeTokens: true }
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  app.get('/me', { schema: schemas.me }, async ({ actor }): Promise<MeView> => {
    const policy = effectivePolicy(policies(), actor)?.policy
    const who = { user: actor.id, tenant: actor.tenant, role: actor.role, admin: actor.isAdmin }
    if (!policy) return { ...who, policy: null }
    return {
      ...who,
      policy: {
        maxSize: engine.limits(actor).maxSize,
        mediaTypes: policy.mediaTypes ?? ['*/*'],
        categories: policy.categories ?? [...categories],
        timeToLiveMs: policy.timeToLiveMs,
      },
    }
  })

  app.get<{ Querystring: PageQuery }>('/uploads', { schema: schemas.list }, async ({ actor, query }) => {
    // One more than asked for tells whether there is a next page.
    const found = await engine.list(actor, { ...query, limit: query.limit + 1 })
    const uploads = found.slice(0, query.limit)
    return { uploads: uploads.map(view), next: found.length > query.limit ? (uploads.at(-1)?.id ?? null) : null }
  })

  app.get<{ Params: ById }>('/uploads/:id', { schema: schemas.one, config }, async ({ actor, params }) => {
    return view(await engine.peek(actor, params.id))
  })

  app.put<{ Params: ById; Body: Mark }>(
    '/uploads/:id/fingerprint',
    { schema: schemas.mark, config },
    async ({ actor, params, body }, reply) => {
      await engine.mark(actor, params.id, body.fingerprint)
      return reply.code(204).send()
    },
  )

  app.delete<{ Params: ById }>('/uploads/:id', { schema: schemas.cancel, config }, async ({ actor, params }, reply) => {
    await engine.cancel(actor, params.id)
    return reply.code(204).send()
  })

  function view(upload: Upload): UploadView {
    return {
      id: upload.id,
      url: urlOf(upload.id),
      filename: upload.filename,
      contentType: upload.contentType,
      category: upload.category,
      size: upload.size,
      offset: upload.offset,
      state: upload.state,
      failure: upload.failure,
      key: upload.key,
      objectUrl: upload.state === 'completed' ? objectUrlOf(upload.key) : null,
      createdAt: upload.createdAt.toISOString(),
      updatedAt: upload.updatedAt.toISOString(),
      completedAt: upload.completedAt?.toISOString() ?? null,
      expiresAt: upload.expiresAt?.toISOString() ?? null,
    }
  }
}
