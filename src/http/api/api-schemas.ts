import { z } from 'zod'
import { jsonSchema, refusals } from './json-schema.ts'

const state = z.enum(['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'])

const upload = z
  .object({
    id: z.string(),
    url: z.string().describe('The upload itself, for tus'),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: z.int().nullable().describe('Bytes; null while the client has not told'),
    offset: z.int().describe('Bytes that are safe on the server'),
    state,
    failure: z.string().nullable().describe('Why a failed upload failed'),
    key: z.string().describe('The name of the object in the store'),
    objectUrl: z.string().nullable().describe('Where browsers reach the finished object, if S3_PUBLIC_URL says so'),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    completedAt: z.iso.datetime().nullable(),
    expiresAt: z.iso.datetime().nullable().describe('When the upload is given up unless more comes'),
  })
  .describe('One file on its way in, or arrived')

const page = z.object({
  uploads: z.array(upload),
  next: z.string().nullable().describe('Give it as `before` to get the next page; null on the last one'),
})

const me = z.object({
  user: z.string(),
  tenant: z.string().nullable(),
  role: z.string(),
  admin: z.boolean().describe('May see everybody’s uploads and steer them: `/v1/admin`'),
  policy: z
    .object({
      maxSize: z.int().describe('Bytes'),
      mediaTypes: z.array(z.string()),
      categories: z.array(z.string()),
      timeToLiveMs: z
        .int()
        .nullable()
        .describe('How long an unfinished upload is kept after its last byte; null: for ever'),
    })
    .nullable()
    .describe('What the role may send; null when it may send nothing'),
})

const pageQuery = z.object({
  limit: z.int().min(1).max(100).default(50).describe('How many uploads'),
  before: z.uuid().optional().describe('The id of the last upload that was seen'),
  fingerprint: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe('Only uploads of the file that the client knows by this'),
  state: state.optional().describe('Only uploads in this state; `receiving`: those that can be gone on with'),
})

const mark = z.object({ fingerprint: z.string().min(1).max(1024).nullable() })

const byId = z.object({ id: z.string().min(1).max(128) })

export type UploadView = z.output<typeof upload>
export type PageQuery = z.output<typeof pageQuery>
export type Mark = z.output<typeof mark>
export type ById = z.output<typeof byId>
export type MeView = z.output<typeof me>

const nothing = { type: 'null', description: 'Done' }

/** The schemas of the JSON API, as Fastify and OpenAPI read them. */
export const schemas = {
  me: {
    tags: ['Identity'],
    summary: 'Who am I, and what may I send',
    response: { 200: jsonSchema(me, 'output'), ...refusals },
  },
  list: {
    tags: ['Uploads'],
    summary: 'My uploads, newest first',
    querystring: jsonSchema(pageQuery, 'input'),
    response: { 200: jsonSchema(page, 'output'), ...refusals },
  },
  one: {
    tags: ['Uploads'],
    summary: 'One of my uploads',
    params: jsonSchema(byId, 'input'),
    response: { 200: jsonSchema(upload, 'output'), ...refusals },
  },
  mark: {
    tags: ['Uploads'],
    summary: 'Say what the client knows the file by',
    description:
      'So that the owner finds the upload on another device. A creation can say it too: tus as the metadata `fingerprint`.',
    params: jsonSchema(byId, 'input'),
    body: jsonSchema(mark, 'input'),
    response: { 204: nothing, ...refusals },
  },
  cancel: {
    tags: ['Uploads'],
    summary: 'Cancel an upload, or delete the file that arrived',
    params: jsonSchema(byId, 'input'),
    response: { 204: nothing, ...refusals },
  },
}
