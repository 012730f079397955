import {
  type AnyUpload,
  anyUploads,
  anyUploadsQuery,
  type OneUpload,
  oneUpload,
  summary,
} from '../../contract/admin-uploads.ts'
import { byUploadId } from '../../contract/upload.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import type { UploadDetails, UploadLine } from './find.ts'
import type { TimelineEntry } from './timeline.ts'

const tags = ['Admin']
const actionAnswer = {
  params: jsonSchema(byUploadId, 'input'),
  response: { 200: jsonSchema(oneUpload, 'output'), ...errorAnswers },
}

/** The schemas of the routes, as Fastify and OpenAPI read them. */
export const schemas = {
  summary: {
    tags,
    summary: 'Active uploads and stored files, over all servers',
    response: { 200: jsonSchema(summary, 'output'), ...errorAnswers },
  },
  list: {
    tags,
    summary: 'Uploads of all owners, newest first',
    querystring: jsonSchema(anyUploadsQuery, 'input'),
    response: { 200: jsonSchema(anyUploads, 'output'), ...errorAnswers },
  },
  one: { tags, summary: 'One upload and its timeline', ...actionAnswer },
  cancel: {
    tags,
    summary: 'Cancel an upload of any owner, or delete its completed file',
    ...actionAnswer,
  },
  finish: {
    tags,
    summary: 'Complete an upload whose bytes have all arrived',
    description: 'Does nothing if the upload is complete already. Answers 400 LENGTH_MISMATCH when bytes are missing.',
    ...actionAnswer,
  },
  expire: {
    tags,
    summary: 'Expire an unfinished upload now',
    ...actionAnswer,
  },
}

/** An upload as the API returns it. */
export function viewOfLine(upload: UploadLine, objectUrlOf: (key: string) => string | null): AnyUpload {
  const { isLive, isPartial, createdAt, updatedAt, completedAt, expiresAt, ...rest } = upload
  return {
    ...rest,
    live: isLive,
    partial: isPartial,
    objectUrl: upload.state === 'completed' ? objectUrlOf(upload.key) : null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    completedAt: completedAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
  }
}

/** An upload with its timeline as the API returns it. */
export function viewOfOne(
  upload: UploadDetails,
  timeline: TimelineEntry[],
  objectUrlOf: (key: string) => string | null,
): OneUpload {
  const {
    metadata,
    fingerprint,
    partSize,
    maxSize,
    timeToLiveMs,
    reserved,
    etag,
    parts,
    tailObjects,
    needsCleanup,
    ...rest
  } = upload
  return {
    upload: {
      ...viewOfLine(rest, objectUrlOf),
      metadata,
      fingerprint,
      partSize,
      maxSize,
      timeToLiveMs,
      reserved,
      etag,
      parts,
      tailObjects,
      needsCleanup,
    },
    timeline: timeline.map(({ at, isAllowed, keyId, deliveredAt, ...entry }) => ({
      ...entry,
      at: at.toISOString(),
      allowed: isAllowed,
      key: keyId,
      deliveredAt: deliveredAt?.toISOString() ?? null,
    })),
  }
}
