import { formUploads, ownUpload } from '../../contract/upload.ts'
import { jsonSchema, errorAnswers as usualAnswers } from '../../http/api/json-schema.ts'

const tags = ['Whole files']
const reasons = {
  400: 'MISSING_FIELD, INVALID_FIELD, INVALID_METADATA, LENGTH_MISMATCH, INVALID_REQUEST',
  401: 'UNAUTHENTICATED: no token, or not a valid one',
  403: 'ROLE_NOT_ALLOWED, QUOTA_EXCEEDED, FORBIDDEN',
  413: 'FILE_TOO_LARGE for the role',
  415: 'TYPE_NOT_ALLOWED to the role, or UNSUPPORTED_CONTENT_TYPE of the request',
  422: 'CATEGORY_NOT_ALLOWED to the role, or not the category of that media type',
  460: 'CHECKSUM_MISMATCH: the body was discarded',
  503: 'STORE_UNAVAILABLE, DATABASE_ERROR, BODY_TIMEOUT, SHUTTING_DOWN: send the request again; Retry-After says when',
}
const errorAnswers = Object.fromEntries(
  Object.entries(reasons).map(([status, description]) => [status, { ...usualAnswers[404], description }]),
)
const text = (description: string) => ({ type: 'string', description })

/** The schemas of the routes for whole files, for Fastify and OpenAPI. */
export const schemas = {
  putFile: {
    tags,
    summary: 'Send a whole file',
    description: 'The body is the file. The server stores all of it or nothing.',
    params: { type: 'object', properties: { name: text('The file name') }, required: ['name'] },
    querystring: { type: 'object', properties: { category: { type: 'string' } } },
    headers: {
      type: 'object',
      properties: {
        'Content-Type': text('Media type of the file; by default that of its extension'),
        'Content-MD5': text('MD5 of the file in Base64; verified if given'),
        'Content-Digest': text('RFC 9530: sha-256, sha-512, sha or md5 of the file; verified if given'),
      },
    },
    consumes: ['application/octet-stream'],
    body: { type: 'string', format: 'binary', description: 'The bytes of the file' },
    response: {
      201: {
        ...jsonSchema(ownUpload, 'output'),
        description: 'The file is complete',
        headers: { Location: text('The URL of the upload'), ETag: text('The ETag of the object') },
      },
      ...errorAnswers,
    },
  },
  postFiles: {
    tags,
    summary: 'Send whole files as a form',
    description: 'Up to 20 files. The server stores all of them or none.',
    consumes: ['multipart/form-data'],
    body: {
      type: 'object',
      properties: {
        category: text('The category of every file; must come before the files'),
        userId: text('The user of the token; an administrator, or a service with a key, may name another user'),
        userRole: text('The role of that user'),
        file: {
          type: 'array',
          items: { type: 'string', format: 'binary' },
          description: 'The files; the field may have any name',
        },
      },
      required: ['file'],
    },
    response: { 201: { ...jsonSchema(formUploads, 'output'), description: 'The files are complete' }, ...errorAnswers },
  },
}
