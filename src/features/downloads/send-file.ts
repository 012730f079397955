import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors } from '../../core/errors/errors.ts'
import type { FairShare } from '../../core/fair-share.ts'
import { servedTypeOf } from '../../core/media/served-type.ts'
import type { ObjectStore } from '../../core/ports/object-store.ts'
import type { StoredFile } from '../../core/stored-file.ts'
import { evaluatePreconditions, isRangeOfThis } from '../../http/representation/conditions.ts'
import { contentDisposition, type Disposition } from '../../http/representation/disposition.ts'
import { type ByteRange, rangeOf } from '../../http/representation/range.ts'
import { openFileBody } from './file-body.ts'

/** How one request is answered with a file. */
export interface Delivery {
  /** What the client asks for; a type that could run scripts is always an attachment. */
  disposition: Disposition
  cacheControl: string
  /** Which pages may show it (Cross-Origin-Resource-Policy). */
  resourcePolicy: 'same-origin' | 'cross-origin'
  /** Whether the answer may be a redirection. Not where a client would send its token along: buckets refuse two signatures. */
  mayRedirect: boolean
  /** Who reads, for the share of downloads. */
  reader: string
}

/** What every download needs. */
export interface Downloads {
  store: Pick<ObjectStore, 'read' | 'presignRead'>
  /** Whether clients that may be redirected are. */
  redirects: boolean
  /** The places of downloads that read the store. */
  places: FairShare
}

// Long enough for a client that follows at once, and short enough that a URL in a log is worth nothing.
const presignedSeconds = 60

/**
 * Answers GET and HEAD with the bytes of a file (RFC 9110): conditions, one range, and the headers of the whole. HEAD and answers without
 * a body do not touch the store.
 * @throws UploadError PRECONDITION_FAILED, RANGE_NOT_SATISFIABLE, OVERLOADED, STORE_UNAVAILABLE
 */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: StoredFile,
  delivery: Delivery,
  { store, places, redirects }: Downloads,
): Promise<FastifyReply> {
  const { headers, method } = request
  const { size, contentId, createdAt: modifiedAt } = file
  const validators = { etag: `"${contentId}"`, modifiedAt }
  const outcome = evaluatePreconditions(headers, validators)
  if (outcome === 'failed') throw errors.preconditionFailed()
  const found = {
    etag: validators.etag,
    'last-modified': modifiedAt.toUTCString(),
    'cache-control': delivery.cacheControl,
  }
  if (outcome === 'not-modified') return reply.code(304).headers(found).send()
  // Range is defined for GET only.
  const asked = method === 'GET' && isRangeOfThis(headers, validators) ? rangeOf(headers.range, size) : 'whole'
  if (asked === 'unsatisfiable') {
    reply.header('content-range', `bytes */${size}`)
    throw errors.rangeNotSatisfiable({ size })
  }
  const range = asked === 'whole' ? { start: 0, end: size } : asked
  const described = { ...found, ...descriptionOf(file, delivery), 'content-length': range.end - range.start }
  if (method === 'HEAD' || size === 0)
    return reply
      .code(200)
      .headers(described)
      .send(size === 0 ? '' : undefined)
  if (redirects && delivery.mayRedirect && store.presignRead) {
    const location = await store.presignRead(file.key, {
      seconds: presignedSeconds,
      contentType: described['content-type'],
      contentDisposition: described['content-disposition'],
      cacheControl: delivery.cacheControl,
    })
    return reply.code(302).header('location', location).send()
  }
  const body = await openBody(range)
  // The headers follow the first bytes: an error before them has an answer of its own, which no cache may keep.
  reply.headers(described)
  if (asked !== 'whole') reply.code(206).header('content-range', `bytes ${range.start}-${range.end - 1}/${size}`)
  return reply.send(body)

  async function openBody(part: ByteRange) {
    const release = places.take(delivery.reader)
    if (!release) throw errors.tooManyDownloads({ rule: 'DOWNLOADS_AT_ONCE' })
    const opened = await openFileBody(store, file.key, part, release)
    // A client that has gone meanwhile closes nothing any more.
    if (reply.raw.destroyed) opened.destroy()
    return opened
  }
}

/** The headers of a file, whole or in part. */
function descriptionOf({ name, contentType, sha256 }: StoredFile, delivery: Delivery) {
  const { contentType: served, isAttachment = false } = servedTypeOf({ contentType })
  const disposition = isAttachment ? 'attachment' : delivery.disposition
  return {
    'content-type': served === 'text/plain' ? 'text/plain; charset=utf-8' : served,
    'content-disposition': contentDisposition(disposition, name),
    'accept-ranges': 'bytes',
    ...(sha256 && { 'repr-digest': `sha-256=:${Buffer.from(sha256).toString('base64')}:` }),
    // Chrome's viewer of PDF does not work in a sandbox, and runs no script of the file on this origin.
    'content-security-policy': `default-src 'none'; frame-ancestors 'none'${served === 'application/pdf' ? '' : '; sandbox'}`,
    'cross-origin-resource-policy': delivery.resourcePolicy,
  }
}
