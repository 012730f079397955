import { z } from 'zod'
import { errorAnswers, jsonSchema } from './json-schema.ts'
import { uploadStates, uploadView } from './upload-view.ts'

const page = z.object({
  uploads: z.array(uploadView),
  next: z.string().nullable().describe('The value of `before` for the next page; null on the last page'),
})

const me = z.object({
  user: z.string(),
  tenant: z.string().nullable(),
  role: z.string(),
  admin: z.boolean().describe('May see and manage the uploads of all users: `/v1/admin`'),
  policy: z
    .object({
      maxSize: z.int().describe('Bytes'),
      mediaTypes: z.array(z.string()),
      categories: z.array(z.string()),
      timeToLiveMs: z
        .int()
        .nullable()
        .describe('How long an incomplete upload is kept after its last byte; null: without limit'),
    })
    .nullable()
    .describe('What the role may upload; null if it may upload nothing'),
})

const pageQuery = z.object({
  limit: z.int().min(1).max(100).default(50).describe('Maximum number of uploads'),
  before: z.uuid().optional().describe('The id of the last upload of the previous page'),
  fingerprint: z.string().min(1).max(1024).optional().describe('Only uploads with this fingerprint'),
  state: uploadStates.optional().describe('Only uploads in this state; `receiving`: those that can be resumed'),
})

const setFingerprintBody = z.object({ fingerprint: z.string().min(1).max(1024).nullable() })

const byId = z.object({ id: z.string().min(1).max(128) })

export type PageQuery = z.output<typeof pageQuery>
export type SetFingerprint = z.output<typeof setFingerprintBody>
export type ById = z.output<typeof byId>
export type MeView = z.output<typeof me>

const noContent = { type: 'null', description: 'Done' }

/** The schemas of the JSON API, for Fastify and OpenAPI. */
export const schemas = {
  me: {
    tags: ['Identity'],
    summary: 'The authenticated user and what they may upload',
    response: { 200: jsonSchema(me, 'output'), ...errorAnswers },
  },
  list: {
    tags: ['Uploads'],
    summary: 'My uploads, newest first',
    querystring: jsonSchema(pageQuery, 'input'),
    response: { 200: jsonSchema(page, 'output'), ...errorAnswers },
  },
  get: {
    tags: ['Uploads'],
    summary: 'One of my uploads',
    params: jsonSchema(byId, 'input'),
    response: { 200: jsonSchema(uploadView, 'output'), ...errorAnswers },
  },
  setFingerprint: {
    tags: ['Uploads'],
    summary: 'Set the fingerprint by which the client recognizes the file',
    description:
      'Lets the owner find the upload on another device. A creation can set it too: in tus with the metadata key `fingerprint`.',
    params: jsonSchema(byId, 'input'),
    body: jsonSchema(setFingerprintBody, 'input'),
    response: { 204: noContent, ...errorAnswers },
  },
  cancel: {
    tags: ['Uploads'],
    summary: 'Cancel an upload, or delete the file of a completed one',
    params: jsonSchema(byId, 'input'),
    response: { 204: noContent, ...errorAnswers },
  },
}
