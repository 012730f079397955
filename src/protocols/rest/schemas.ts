import { z } from 'zod'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { resumeHeader } from '../../http/identity/resume.ts'
import { completeFields, initFields, namedUpload } from './fields.ts'
import { cancelledView, chunkView, completedView, createdView, statusView } from './views.ts'

const errorAnswer = z
  .object({
    error: z.object({
      code: z.string().describe('What a program decides by'),
      message: z.string().describe('One sentence for the person who uploads'),
      timestamp: z.iso.datetime(),
    }),
  })
  .describe('A refusal')

const reasons: Record<string, string> = {
  400: 'MISSING_FIELD, INVALID_FIELD',
  401: 'UNAUTHENTICATED: no token, or not a valid one',
  403: 'ROLE_NOT_ALLOWED, QUOTA_EXCEEDED, FORBIDDEN: user_id or user_role is not that of the token',
  404: 'UPLOAD_NOT_FOUND: it is not there, or not yours',
  409: 'UPLOAD_COMPLETED: it takes nothing more',
  410: 'UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST: start anew',
  413: 'FILE_TOO_LARGE for the role',
  415: 'TYPE_NOT_ALLOWED to the role, or UNSUPPORTED_CONTENT_TYPE of the request',
  422: 'CATEGORY_NOT_ALLOWED to the role, or not the category of that media type',
  423: 'UPLOAD_LOCKED: another request is at it; Retry-After says when to come back',
  460: 'CHECKSUM_MISMATCH: nothing of the body counts',
  502: 'R2_ERROR, DATABASE_ERROR: what stands behind the server does not answer; Retry-After says when to come back',
  503: 'BODY_TIMEOUT, SHUTTING_DOWN, IDENTITY_UNAVAILABLE: send it again; Retry-After says when',
}

const createRefusals = [400, 401, 403, 413, 415, 422, 502, 503]
const uploadRefusals = [400, 401, 404, 410, 502, 503]

const byId = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }
const byHeader = {
  'X-Upload-Id': { type: 'string', description: 'The upload; a JSON body may say it as upload_id instead' },
}
const chunkHeaders = {
  'X-Chunk-Index': { type: 'integer', minimum: 0, description: 'Which chunk it is; the first one is 0' },
  'Content-MD5': { type: 'string', description: 'MD5 of the chunk in Base64; verified when it is given' },
  'Content-Digest': {
    type: 'string',
    description: 'RFC 9530: sha-256, sha-512, sha or md5 of the chunk; verified when it is given',
  },
}
const etagHeader = { ETag: { type: 'string', description: 'The proof that the chunk is safe' } }
const locationHeader = { Location: { type: 'string', description: 'The upload' } }
const resumeHeaders = { [resumeHeader]: { type: 'string', description: 'The same as resume_token' } }
const rawBody = { type: 'string', format: 'binary', description: 'The bytes, nothing around them' }

const init = {
  summary: 'Begin an upload',
  description:
    'Answers how long the chunks must be. user_id and user_role must be those of the token; an administrator, or a service with a key, may name another user and act for them.',
  body: jsonSchema(initFields, 'input'),
  response: {
    201: answer(createdView, 'The upload has begun', { ...locationHeader, ...resumeHeaders }),
    ...errorAnswers(createRefusals),
  },
}
const chunk = {
  summary: 'Send one chunk',
  description:
    'Chunks come in any order and beside each other; one that is sent twice replaces itself. Every chunk has chunk_size bytes, only the last may be shorter. The body is the bytes and nothing else, of any content type.',
  consumes: ['application/octet-stream'],
  body: rawBody,
  response: {
    200: answer(chunkView, 'The chunk is safe', etagHeader),
    ...errorAnswers([...uploadRefusals, 409, 423, 460]),
  },
}
const complete = {
  summary: 'Make the file of its chunks',
  description: 'May be asked again: the answer is the same once the file is there.',
  body: mayBeLeftOut(completeFields),
  response: {
    200: answer(completedView, 'The file is there', {
      ETag: { type: 'string', description: 'The ETag of the object' },
    }),
    ...errorAnswers([...uploadRefusals, 423]),
  },
}
const status = {
  summary: 'What is there of an upload, and what is missing',
  response: { 200: answer(statusView, 'How far it is'), ...errorAnswers([401, 404, 502]) },
}
const cancel = {
  summary: 'Give an unfinished upload up',
  description:
    'What was sent of it is removed. A file that has arrived stays: that is 409 UPLOAD_COMPLETED. May be asked again.',
  response: { 200: answer(cancelledView, 'It is gone'), ...errorAnswers([...uploadRefusals, 409, 423]) },
}

const rest = { tags: ['Uploads in chunks'] }
const legacy = { tags: ['Uploads in chunks, older spelling'], deprecated: true }

/** The routes as Fastify and OpenAPI read them. Bodies and headers are checked by `fields.ts`, which knows this dialect's codes. */
export const schemas = {
  init: { ...rest, ...init },
  chunk: { ...rest, ...chunk, params: byId, headers: headers(chunkHeaders, ['X-Chunk-Index']) },
  complete: { ...rest, ...complete, params: byId },
  status: { ...rest, ...status, params: byId },
  cancel: { ...rest, ...cancel, params: byId },
  older: {
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
      body: mayBeLeftOut(completeFields.extend(namedUpload.shape)),
    },
    status: { ...legacy, ...status, params: byId },
    cancel: { ...legacy, ...cancel, headers: headers(byHeader), body: mayBeLeftOut(namedUpload) },
  },
}

function errorAnswers(statuses: number[]) {
  return Object.fromEntries(statuses.map((status) => [status, answer(errorAnswer, reasons[status]!)]))
}

function answer(
  schema: z.ZodType,
  description: string,
  headers?: Record<string, { type: string; description: string }>,
) {
  return { ...jsonSchema(schema, 'output'), description, ...(headers && { headers }) }
}

function mayBeLeftOut(fields: z.ZodType) {
  return { ...jsonSchema(fields, 'input'), description: 'May be left out.' }
}

function headers(properties: Record<string, object>, required: string[] = []) {
  return { type: 'object', properties, required }
}
