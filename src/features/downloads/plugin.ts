import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ByToken, ContentQuery, CreateLink, Link } from '../../contract/links.ts'
import type { ByUploadId } from '../../contract/upload.ts'
import type { Engine } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import { ownerKey } from '../../core/upload.ts'
import { anyUpload } from '../../http/api/error-codes.ts'
import { answerPreflights } from '../../http/cors.ts'
import { clientInfoOf } from '../../http/identity/client-info.ts'
import { addressFor } from '../../http/location.ts'
import { safeName } from '../../http/representation/disposition.ts'
import { expiryOf, type LinkTokens } from './links.ts'
import { schemas } from './schemas.ts'
import { type Downloads, sendFile } from './send-file.ts'

export interface DownloadsOptions {
  engine: Pick<Engine, 'file' | 'linkedFile' | 'revokeLinks'>
  downloads: Downloads
  links: LinkTokens
  now(): Date
  maxLifetimeMs: number
  publicUrl: string | undefined
  /** The URL under which alone links are served; `undefined`: that of everything else. */
  filesOrigin: string | undefined
}

const linkPath = '/d'

/** What a request about a file can be answered with, beside what its route tells. */
const ofFile = [...anyUpload, 'FILE_INCOMPLETE'] as const
const reading = [
  ...ofFile,
  'FILE_HELD',
  'FILE_QUARANTINED',
  'PRECONDITION_FAILED',
  'RANGE_NOT_SATISFIABLE',
  'STORE_UNAVAILABLE',
  'R2_ERROR',
] as const

/**
 * `/files/:id/content`, the bytes of a file for its owner, and `/files/:id/links`, which makes and revokes links to it. The id is that of
 * the upload, and of the node: a client knows it from the first answer on, and it stays when the file gets another content. Needs
 * `request.actor`.
 */
export async function filesPlugin(app: FastifyInstance, options: DownloadsOptions): Promise<void> {
  const { engine, downloads, links, now, maxLifetimeMs, publicUrl, filesOrigin } = options
  forbidCaching(app)

  app.route<{ Params: ByUploadId; Querystring: ContentQuery }>({
    method: ['GET', 'HEAD'],
    url: '/files/:id/content',
    schema: schemas.content,
    config: { actions: ['download'], errors: reading },
    handler: async (request, reply) => {
      const { actor, params, query } = request
      const file = await engine.file(actor, params.id, 'download')
      const delivery = {
        disposition: query.disposition,
        cacheControl: 'private, no-cache',
        resourcePolicy: 'same-origin',
        mayRedirect: query.redirect === '1',
        reader: ownerKey(actor),
      } as const
      return sendFile(request, reply, file, delivery, downloads)
    },
  })

  app.post<{ Params: ByUploadId; Body: CreateLink }>(
    '/files/:id/links',
    { schema: schemas.createLink, config: { actions: ['link'], errors: ofFile } },
    async (request, reply): Promise<Link> => {
      const { actor, params, body } = request
      const maxSeconds = Math.floor(maxLifetimeMs / 1000)
      if (body.expiresIn > maxSeconds) throw errors.linkTooLong({ maxSeconds })
      const { id: fileId, name, linkEpoch } = await engine.file(actor, params.id, 'link')
      const expiresAt = expiryOf(now(), body.expiresIn)
      const token = links.sign({ fileId, linkEpoch, expiresAt, disposition: body.disposition })
      const path = `${linkPath}/${token}/${nameInPath(name)}`
      reply.code(201)
      return {
        url: addressFor(request, path, filesOrigin ?? publicUrl),
        expiresAt: new Date(expiresAt * 1000).toISOString(),
      }
    },
  )

  app.delete<{ Params: ByUploadId }>(
    '/files/:id/links',
    { schema: schemas.revokeLinks, config: { actions: ['link'], errors: ofFile } },
    async ({ actor, params }, reply) => {
      await engine.revokeLinks(actor, params.id)
      return reply.code(204).send()
    },
  )
}

/** `/d/:token/:name`: the bytes of a file for a client that has a link. The name is for people; the token alone names the file. */
export async function linksPlugin(app: FastifyInstance, options: DownloadsOptions): Promise<void> {
  const { engine, downloads, links, now, filesOrigin } = options
  const host = filesOrigin === undefined ? null : new URL(filesOrigin).host
  await app.register(
    async (scope) => {
      forbidCaching(scope)
      answerPreflights(scope)
      scope.route<{ Params: ByToken }>({
        method: ['GET', 'HEAD'],
        url: '/:token/:name',
        schema: schemas.linked,
        config: { errors: [...reading, 'LINK_EXPIRED'] },
        handler: async (request, reply) => answerLink(request, reply, request.params.token),
      })
    },
    { prefix: linkPath },
  )

  async function answerLink(request: FastifyRequest, reply: FastifyReply, token: string): Promise<FastifyReply> {
    const claims = links.verify(token)
    if (!claims || (host !== null && request.host.toLowerCase() !== host)) throw errors.notFound()
    const seconds = claims.expiresAt - Math.floor(now().getTime() / 1000)
    if (seconds <= 0) throw errors.linkExpired()
    const file = await engine.linkedFile(claims.fileId, claims.linkEpoch)
    const { network, address } = clientInfoOf(request)
    const delivery = {
      disposition: claims.disposition,
      cacheControl: `private, max-age=${seconds}, immutable`,
      resourcePolicy: 'cross-origin',
      mayRedirect: request.headers.authorization === undefined,
      reader: `link ${network ?? address}`,
    } as const
    return sendFile(request, reply, file, delivery, downloads)
  }
}

// Less than the longest parameter of a path.
const maxNameLength = 400

/** The name of a file as the last part of a path, escaped and cut. */
function nameInPath(name: string): string {
  let escaped = ''
  for (const character of safeName(name)) {
    const next = escaped + encodeURIComponent(character)
    if (next.length > maxNameLength) break
    escaped = next
  }
  return escaped
}

/** Errors of this scope are kept by no cache; a file replaces the header. */
function forbidCaching(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}
