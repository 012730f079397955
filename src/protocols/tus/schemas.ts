import type { FastifySchema } from 'fastify'
import { commonHeaders, tusHeaders } from '../../contract/headers.ts'
import { anyRequest, anyUpload, bytes, creation } from '../../http/api/error-codes.ts'
import { emptyAnswer, errorAnswersOf, jsonErrors, requestHeaders } from '../../http/api/route-schema.ts'
import type { Method } from './request.ts'
import { patchType } from './request.ts'

const sent = tusHeaders.request
const answered = tusHeaders.response

/** What every method is answered with before it reaches an upload. A method override can make any method one that is not allowed. */
const anyMethod = [...anyRequest, 'METHOD_NOT_ALLOWED', 'PRECONDITION_FAILED', 'UPLOAD_NOT_FOUND'] as const

const errorForm = {
  dialect: 'tus',
  ...jsonErrors,
  headers(status: number) {
    const { 'Tus-Resumable': resumable, 'Upload-Expires': expires } = answered
    return {
      'Tus-Resumable': resumable,
      'Upload-Expires': expires,
      ...(status === 409 && { 'Upload-Offset': answered['Upload-Offset'] }),
      ...(status === 412 && { 'Tus-Version': answered['Tus-Version'] }),
    }
  },
}

const byId = {
  type: 'object',
  properties: { id: { type: 'string', description: 'The id of the upload' } },
  required: ['id'],
}
const body = (description: string) => ({
  content: { [patchType]: { schema: { type: 'string', format: 'binary', description } } },
})
const tags = ['Resumable uploads']

/** Schemas by method. Methods without one are refused, and are not described. */
export type Schemas = Partial<Record<Method | 'GET' | 'PUT', FastifySchema>>

/** A method that only RUFH has at a URL. */
const refused: FastifySchema = { tags, description: 'tus: refused.', response: errorAnswersOf(anyMethod, errorForm) }

/** The schemas of the endpoint itself, by method. */
export const endpointSchemas: Schemas = {
  POST: {
    tags,
    summary: 'Create an upload',
    description:
      'tus: with Upload-Length or Upload-Defer-Length; the body may hold the first bytes. With Upload-Concat it makes a file of partial uploads.',
    headers: requestHeaders(
      sent,
      ['Tus-Resumable', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Metadata', 'Upload-Concat', 'Upload-Checksum'],
      ['Tus-Resumable'],
    ),
    body: body('The first bytes of the file'),
    response: {
      201: emptyAnswer('tus: the upload is created', answered, [
        'Tus-Resumable',
        'Location',
        'Upload-Offset',
        'Upload-Expires',
        'Upload-Resume-Token',
      ]),
      ...errorAnswersOf([...anyMethod, ...anyUpload, ...creation, ...bytes], errorForm),
    },
  },
  PUT: { ...refused, summary: 'Create an upload' },
  OPTIONS: {
    tags,
    summary: 'Read what the server supports',
    response: {
      204: emptyAnswer('tus: its version, extensions and limits', answered, [
        'Tus-Version',
        'Tus-Extension',
        'Tus-Max-Size',
        'Tus-Checksum-Algorithm',
        'Tus-Resumable',
      ]),
    },
  },
}

const append: FastifySchema = {
  tags,
  params: byId,
  summary: 'Append bytes to an upload',
  description:
    'tus: at Upload-Offset, which is the offset that HEAD tells. What arrives is kept when the connection breaks.',
  headers: requestHeaders(
    sent,
    ['Tus-Resumable', 'Upload-Offset', 'Upload-Length', 'Upload-Checksum'],
    ['Tus-Resumable', 'Upload-Offset'],
  ),
  body: body('The next bytes of the file'),
  response: {
    204: emptyAnswer('tus: the bytes are durable', answered, ['Tus-Resumable', 'Upload-Offset', 'Upload-Expires']),
    ...errorAnswersOf(
      [...anyMethod, ...anyUpload, ...bytes, 'OFFSET_MISMATCH', 'UPLOAD_CLOSED', 'UPLOAD_COMPLETED'],
      errorForm,
    ),
  },
}

/** The schemas of the URL of an upload, by method. */
export const uploadSchemas: Schemas = {
  HEAD: {
    tags,
    params: byId,
    summary: 'Read the offset of an upload',
    description: 'tus: an error that may be gone in a moment is 423, because tus-js-client gives up on others.',
    headers: requestHeaders(sent, ['Tus-Resumable'], ['Tus-Resumable']),
    response: {
      200: emptyAnswer('tus: the upload', answered, [
        'Tus-Resumable',
        'Upload-Offset',
        'Upload-Length',
        'Upload-Defer-Length',
        'Upload-Metadata',
        'Upload-Concat',
        'Upload-Expires',
      ]),
      ...errorAnswersOf([...anyMethod, ...anyUpload, 'UPLOAD_LOCKED'], errorForm),
    },
  },
  PATCH: append,
  DELETE: {
    tags,
    params: byId,
    summary: 'Cancel an upload, or delete the file of a completed one',
    headers: requestHeaders(sent, ['Tus-Resumable'], ['Tus-Resumable']),
    response: {
      204: emptyAnswer('tus: the upload is gone', answered, ['Tus-Resumable']),
      ...errorAnswersOf([...anyMethod, ...anyUpload, 'UPLOAD_LOCKED', 'STORE_UNAVAILABLE', 'R2_ERROR'], errorForm),
    },
  },
  POST: {
    ...append,
    summary: 'PATCH or DELETE an upload, for clients that can send POST only',
    description: 'tus: X-HTTP-Method-Override names the method.',
    headers: {
      ...requestHeaders(
        { ...sent, ...commonHeaders.request },
        ['Tus-Resumable', 'X-HTTP-Method-Override', 'Upload-Offset', 'Upload-Length', 'Upload-Checksum'],
        ['Tus-Resumable', 'X-HTTP-Method-Override'],
      ),
    },
  },
  GET: { ...refused, params: byId, summary: 'Read the offset of an upload' },
  OPTIONS: { ...endpointSchemas.OPTIONS, params: byId },
}
