import type { z } from 'zod'
import {
  cancelledView,
  chunkView,
  completedView,
  completeFields,
  createdView,
  initFields,
  statusView,
  uploadIdField,
} from '../../contract/chunks.ts'
import type { ErrorCode } from '../../core/errors/error.ts'
import { anyRequest, anyUpload, bytes, creation } from '../../http/api/error-codes.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { type ErrorForm, errorAnswersOf, jsonErrors } from '../../http/api/route-schema.ts'
import { resumeHeader } from '../../http/identity/resume.ts'
import { answeredAs } from './answers.ts'

const form: ErrorForm = {
  dialect: 'REST',
  ...jsonErrors,
  statusesOf: (code) => [answeredAs(code).status],
  headers: () => ({}),
}
const fields = ['MISSING_FIELD', 'INVALID_FIELD'] as const
const ofUpload = [...anyRequest, ...anyUpload, ...fields, 'R2_ERROR'] as const

const byId = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }
const byHeader = {
  'X-Upload-Id': { type: 'string', description: 'The upload; a JSON body may name it as upload_id instead' },
}
const chunkHeaders = {
  'X-Chunk-Index': { type: 'integer', minimum: 0, description: 'The index of the chunk; the first chunk is 0' },
  'Content-MD5': { type: 'string', description: 'MD5 of the chunk in Base64; verified if given' },
  'Content-Digest': {
    type: 'string',
    description: 'RFC 9530: sha-256, sha-512, sha or md5 of the chunk; verified if given',
  },
}
const etagHeader = { ETag: { type: 'string', description: 'The ETag of the chunk, which is stored' } }
const locationHeader = { Location: { type: 'string', description: 'The URL of the upload' } }
const resumeHeaders = { [resumeHeader]: { type: 'string', description: 'The same as resume_token' } }
const rawBody = { type: 'string', format: 'binary', description: 'The bytes of the chunk' }

const init = {
  summary: 'Create an upload',
  description:
    'The answer says how long the chunks must be. user_id and user_role must be those of the token; an administrator, or a service with a key, may name another user and act for them.',
  body: jsonSchema(initFields, 'input'),
  response: {
    201: answer(createdView, 'The upload is created', { ...locationHeader, ...resumeHeaders }),
    ...errorsOf([...anyRequest, ...creation, ...fields]),
  },
}
const chunk = {
  summary: 'Send one chunk',
  description:
    'Chunks may be sent in any order and in parallel; a chunk that is sent again replaces the earlier one. Every chunk has chunk_size bytes, only the last may be shorter. The body is the bytes of the chunk, with any content type.',
  consumes: ['application/octet-stream'],
  body: rawBody,
  response: {
    200: answer(chunkView, 'The chunk is stored', etagHeader),
    ...errorsOf([...ofUpload, ...bytes, 'UPLOAD_COMPLETED', 'UPLOAD_CLOSED']),
  },
}
const complete = {
  summary: 'Complete an upload',
  description: 'Makes the file of its chunks. May be repeated: once the file is complete, the answer is the same.',
  body: optional(completeFields),
  response: {
    200: answer(completedView, 'The file is complete', {
      ETag: { type: 'string', description: 'The ETag of the object' },
    }),
    ...errorsOf([...ofUpload, ...bytes, 'UPLOAD_CLOSED']),
  },
}
const status = {
  summary: 'Read what an upload has, and what is missing',
  response: { 200: answer(statusView, 'The status of the upload'), ...errorsOf(ofUpload) },
}
const cancel = {
  summary: 'Cancel an unfinished upload',
  description:
    'Deletes the bytes that were sent. A complete file stays, and the answer is 409 UPLOAD_COMPLETED. May be repeated.',
  response: {
    200: answer(cancelledView, 'The upload is cancelled'),
    ...errorsOf([...ofUpload, 'UPLOAD_COMPLETED', 'UPLOAD_CLOSED', 'UPLOAD_LOCKED']),
  },
}

const rest = { tags: ['Uploads in chunks'] }
const legacy = { tags: ['Uploads in chunks, legacy routes'], deprecated: true }

/** The schemas of the routes, for Fastify and OpenAPI. `fields.ts` checks bodies and headers, with the codes of this dialect. */
export const schemas = {
  current: {
    init: { ...rest, ...init },
    chunk: { ...rest, ...chunk, params: byId, headers: headers(chunkHeaders, ['X-Chunk-Index']) },
    complete: { ...rest, ...complete, params: byId },
    status: { ...rest, ...status, params: byId },
    cancel: { ...rest, ...cancel, params: byId },
  },
  legacy: {
    init: { ...legacy, ...init },
    chunk: {
      ...legacy,
      ...chunk,
      headers: headers({ 'X-Upload-Id': { type: 'string', description: 'The upload' }, ...chunkHeaders }, [
        'X-Upload-Id',
        'X-Chunk-Index',
      ]),
    },
    complete: {
      ...legacy,
      ...complete,
      headers: headers(byHeader),
      body: optional(completeFields.extend(uploadIdField.shape)),
    },
    status: { ...legacy, ...status, params: byId },
    cancel: { ...legacy, ...cancel, headers: headers(byHeader), body: optional(uploadIdField) },
  },
}

/** The errors of a route by status, with the codes of this dialect. */
function errorsOf(codes: readonly ErrorCode[]) {
  return errorAnswersOf([...new Set(codes.map((code) => answeredAs(code).code))], form)
}

function answer(
  schema: z.ZodType,
  description: string,
  headers?: Record<string, { type: string; description: string }>,
) {
  return { ...jsonSchema(schema, 'output'), description, ...(headers && { headers }) }
}

function optional(fields: z.ZodType) {
  return { ...jsonSchema(fields, 'input'), description: 'Optional.' }
}

function headers(properties: Record<string, object>, required: string[] = []) {
  return { type: 'object', properties, required }
}
