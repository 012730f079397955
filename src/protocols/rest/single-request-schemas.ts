import { formUploads, ownUpload } from '../../contract/upload.ts'
import { anyRequest, bytes, creation } from '../../http/api/error-codes.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { errorAnswersOf, jsonErrors } from '../../http/api/route-schema.ts'

const tags = ['Whole files']
const errorAnswers = errorAnswersOf(
  [...anyRequest, ...creation, ...bytes, 'MISSING_FIELD', 'UPLOAD_GONE', 'UPLOAD_LOST'],
  { ...jsonErrors, dialect: 'REST', headers: () => ({}) },
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
