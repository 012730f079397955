import {
  type AnyUpload,
  anyUploads,
  anyUploadsQuery,
  type OneUpload,
  oneUpload,
  summary,
} from '../../contract/admin-uploads.ts'
import { byUploadId } from '../../contract/upload.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import type { UploadDetails, UploadLine } from './find.ts'
import type { TimelineEntry } from './timeline.ts'

const tags = ['Admin']
const actionAnswer = {
  params: jsonSchema(byUploadId, 'input'),
  response: { 200: jsonSchema(oneUpload, 'output') },
}

/** The schemas of the routes, as Fastify and OpenAPI read them. */
export const schemas = {
  summary: {
    tags,
    summary: 'Active uploads and stored files, over all servers',
    response: { 200: jsonSchema(summary, 'output') },
  },
  list: {
    tags,
    summary: 'Uploads of all owners, newest first',
    querystring: jsonSchema(anyUploadsQuery, 'input'),
    response: { 200: jsonSchema(anyUploads, 'output') },
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

type ObjectUrlOf = (key: string) => string | null

/** An upload as the API returns it. */
export function viewOfLine(upload: UploadLine, objectUrlOf: ObjectUrlOf): AnyUpload {
  return { ...upload, ...objectAndTimes(upload, objectUrlOf) }
}

/** An upload with its timeline as the API returns it. */
export function viewOfOne(upload: UploadDetails, timeline: TimelineEntry[], objectUrlOf: ObjectUrlOf): OneUpload {
  return {
    upload: { ...upload, ...objectAndTimes(upload, objectUrlOf) },
    timeline: timeline.map((entry) => ({
      ...entry,
      at: entry.at.toISOString(),
      deliveredAt: entry.deliveredAt?.toISOString() ?? null,
    })),
  }
}

function objectAndTimes(upload: UploadLine, objectUrlOf: ObjectUrlOf) {
  const { state, key, createdAt, updatedAt, completedAt, expiresAt } = upload
  return {
    objectUrl: state === 'completed' ? objectUrlOf(key) : null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    completedAt: completedAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
  }
}
