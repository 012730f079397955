import { z } from 'zod'
import { errorAnswers, jsonSchema } from './json-schema.ts'
import { uploadStates, uploadView } from './upload-view.ts'

const page = z.object({
  uploads: z.array(uploadView),
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
  state: uploadStates.optional().describe('Only uploads in this state; `receiving`: those that can be gone on with'),
})

const setFingerprintBody = z.object({ fingerprint: z.string().min(1).max(1024).nullable() })

const byId = z.object({ id: z.string().min(1).max(128) })

export type PageQuery = z.output<typeof pageQuery>
export type SetFingerprint = z.output<typeof setFingerprintBody>
export type ById = z.output<typeof byId>
export type MeView = z.output<typeof me>

const noContent = { type: 'null', description: 'Done' }

/** The schemas of the JSON API, as Fastify and OpenAPI read them. */
export const schemas = {
  me: {
    tags: ['Identity'],
    summary: 'Who am I, and what may I send',
    response: { 200: jsonSchema(me, 'output'), ...errorAnswers },
  },
  list: {
    tags: ['Uploads'],
    summary: 'My uploads, newest first',
    querystring: jsonSchema(pageQuery, 'input'),
    response: { 200: jsonSchema(page, 'output'), ...errorAnswers },
  },
  one: {
    tags: ['Uploads'],
    summary: 'One of my uploads',
    params: jsonSchema(byId, 'input'),
    response: { 200: jsonSchema(uploadView, 'output'), ...errorAnswers },
  },
  mark: {
    tags: ['Uploads'],
    summary: 'Say what the client knows the file by',
    description:
      'So that the owner finds the upload on another device. A creation can say it too: tus as the metadata `fingerprint`.',
    params: jsonSchema(byId, 'input'),
    body: jsonSchema(setFingerprintBody, 'input'),
    response: { 204: noContent, ...errorAnswers },
  },
  cancel: {
    tags: ['Uploads'],
    summary: 'Cancel an upload, or delete the file that arrived',
    params: jsonSchema(byId, 'input'),
    response: { 204: noContent, ...errorAnswers },
  },
}
