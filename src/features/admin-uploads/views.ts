import { z } from 'zod'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import type { UploadDetails, UploadLine } from './find.ts'
import type { TimelineEntry } from './timeline.ts'

const state = z.enum(['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'])
const bytes = z.int().describe('Bytes')
const moment = z.iso.datetime()

const line = z
  .object({
    id: z.string(),
    user: z.string(),
    tenant: z.string().nullable(),
    role: z.string(),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: bytes.nullable().describe('Bytes; null while the client has not told'),
    received: bytes.describe('Bytes that are safe on the server; grows by whole parts while a body flows'),
    state,
    failure: z.string().nullable().describe('Why a failed upload failed: lost, digest or type'),
    concat: z
      .enum(['partial', 'final'])
      .nullable()
      .describe('A piece of a later file, or a file made of tailObjects (tus concatenation)'),
    live: z.boolean().describe('Somebody is writing to it right now, on whatever server'),
    key: z.string().describe('The name of the object in the store'),
    objectUrl: z.string().nullable().describe('Where browsers reach the finished object, if S3_PUBLIC_URL says so'),
    createdAt: moment,
    updatedAt: moment,
    completedAt: moment.nullable(),
    expiresAt: moment.nullable().describe('When the upload is given up unless more comes'),
  })
  .describe('An upload of anybody')

const details = line.extend({
  metadata: z.string().nullable().describe('What the client said of the file, as it said it'),
  fingerprint: z.string().nullable().describe('What the client knows the file by'),
  partSize: bytes,
  maxSize: bytes.describe('What it may have, as its owner was told'),
  timeToLiveMs: z.int().nullable(),
  reserved: bytes.nullable().describe('Bytes of its owner’s room that it holds'),
  etag: z.string().nullable(),
  parts: z.int().describe('Parts that are stored and not joined yet'),
  tailObjects: z.int().describe('Pieces that do not fill a part yet'),
  needsCleanup: z
    .boolean()
    .describe('Something of it may lie in the store that nothing points to; the sweeper will look'),
})

const timelineEntry = z.object({
  at: moment,
  source: z
    .enum(['record', 'event'])
    .describe('`record`: who did it, or was refused it; `event`: what listeners are told'),
  what: z
    .string()
    .describe('As in the audit log, such as upload.create, or the name of the event, such as upload.created'),
  allowed: z.boolean(),
  actor: z.string().nullable().describe('null: the server itself, or nobody knows who'),
  role: z.string().nullable(),
  key: z.string().nullable().describe('The API key it was done with'),
  address: z.string().nullable(),
  agent: z.string().nullable(),
  code: z.string().nullable(),
  rule: z.string().nullable().describe('The rule that refused'),
  note: z.string().nullable(),
  times: z.int(),
  deliveredAt: moment.nullable().describe('When the event had been told to everybody'),
})

const one = z.object({ upload: details, timeline: z.array(timelineEntry).describe('The oldest first') })
const page = z.object({
  uploads: z.array(line),
  next: z.string().nullable().describe('Give it as `before` to get the next page; null on the last one'),
})

const name = z.string().min(1).max(128).optional()
const pageQuery = z.object({
  limit: z.int().min(1).max(200).default(50).describe('How many uploads'),
  before: z.uuid().optional().describe('The id of the last upload that was seen'),
  state: state.optional(),
  role: name,
  user: name.describe('Whose uploads'),
  tenant: z.string().max(128).optional().describe('Only of users of this tenant; empty: of users of none'),
  text: z.string().min(1).max(256).optional().describe('Part of a file name, in either case, or how an id begins'),
  since: z.iso.datetime({ offset: true }).optional().describe('Begun at or after'),
  until: z.iso.datetime({ offset: true }).optional().describe('Begun before'),
  live: z.boolean().optional().describe('true: only those that somebody is writing to; false: only the others'),
})
const byId = z.object({ id: z.string().min(1).max(128) })

const summary = z.object({
  open: z
    .array(z.object({ state: z.enum(['receiving', 'finishing']), role: z.string(), count: z.int(), live: z.int() }))
    .describe('Uploads that have not ended'),
  finishingOldestSeconds: z
    .number()
    .nullable()
    .describe('How long the upload that waits longest to be put together has waited'),
  eventsToDeliver: z.int(),
  eventsOldestSeconds: z.number().nullable(),
  reservedBytes: bytes,
  storedBytes: bytes,
  storedFiles: z.int(),
  users: z.int().describe('Users who have, or had, uploads'),
})

export type LineView = z.output<typeof line>
export type PageQuery = z.output<typeof pageQuery>
export type ById = z.output<typeof byId>
export type OneView = z.output<typeof one>

const tags = ['Steering']
const actionAnswer = {
  params: jsonSchema(byId, 'input'),
  response: { 200: jsonSchema(one, 'output'), ...errorAnswers },
}

/** The schemas of the routes, as Fastify and OpenAPI read them. */
export const schemas = {
  summary: {
    tags,
    summary: 'How much is under way, over all servers',
    response: { 200: jsonSchema(summary, 'output'), ...errorAnswers },
  },
  list: {
    tags,
    summary: 'Everybody’s uploads, the newest first',
    querystring: jsonSchema(pageQuery, 'input'),
    response: { 200: jsonSchema(page, 'output'), ...errorAnswers },
  },
  one: { tags, summary: 'One upload and what happened to it', ...actionAnswer },
  cancel: {
    tags,
    summary: 'Cancel anybody’s upload, or delete the file that arrived',
    ...actionAnswer,
  },
  finish: {
    tags,
    summary: 'Put an upload together of which every byte is there, now',
    description: 'Of one that is complete already nothing changes. 400 LENGTH_MISMATCH when bytes are missing.',
    ...actionAnswer,
  },
  expire: {
    tags,
    summary: 'End an unfinished upload as if its time had run out',
    ...actionAnswer,
  },
}

/** An upload as the API tells it. */
export function viewOfLine(session: UploadLine, objectUrlOf: (key: string) => string | null): LineView {
  const { isLive, createdAt, updatedAt, completedAt, expiresAt, ...rest } = session
  return {
    ...rest,
    live: isLive,
    objectUrl: session.state === 'completed' ? objectUrlOf(session.key) : null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    completedAt: completedAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
  }
}

/** An upload with its timeline as the API tells it. */
export function viewOfOne(
  session: UploadDetails,
  timeline: TimelineEntry[],
  objectUrlOf: (key: string) => string | null,
): OneView {
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
  } = session
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
      tailObjects: tailObjects,
      needsCleanup: needsCleanup,
    },
    timeline: timeline.map(({ at, isAllowed, keyId, deliveredAt, ...moment }) => ({
      ...moment,
      at: at.toISOString(),
      allowed: isAllowed,
      key: keyId,
      deliveredAt: deliveredAt?.toISOString() ?? null,
    })),
  }
}
