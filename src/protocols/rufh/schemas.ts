import { commonHeaders, rufhHeaders } from '../../contract/headers.ts'
import { problem } from '../../contract/problem.ts'
import { type ErrorCode, errorCodes } from '../../core/errors/error.ts'
import { anyRequest, anyUpload, bytes, creation } from '../../http/api/error-codes.ts'
import { emptyAnswer, errorAnswersOf, errorSchemaOf, requestHeaders } from '../../http/api/route-schema.ts'
import { partialUploadType } from './dispatch.ts'

const sent = rufhHeaders.request
const answered = rufhHeaders.response
const completeness = ['Upload-Complete', 'Upload-Incomplete'] as const
const always = ['Upload-Draft-Interop-Version'] as const
const state = [...always, ...completeness, 'Upload-Offset', 'Upload-Limit', 'Repr-Digest'] as const

/**
 * The statuses that differ from the table of errors: 460 belongs to tus, a completed upload is no conflict, and until draft -05 an upload
 * that has ended is 404, however it ended.
 */
const ownStatuses: Partial<Record<ErrorCode, number[]>> = {
  CHECKSUM_MISMATCH: [400],
  UPLOAD_COMPLETED: [400],
  UPLOAD_GONE: [410, 404],
  UPLOAD_EXPIRED: [410, 404],
  UPLOAD_LOST: [410, 404],
}

const errorForm = {
  dialect: 'RUFH',
  mediaType: 'application/problem+json',
  body: errorSchemaOf(problem),
  statusesOf: (code: ErrorCode) => ownStatuses[code] ?? [errorCodes[code]],
  headers(status: number) {
    const names = [...always, ...completeness, 'Upload-Offset', 'Location'] as (keyof typeof answered)[]
    if (status === 413) names.push('Upload-Limit')
    if (status === 415) names.push('Accept-Patch')
    return Object.fromEntries(names.map((name) => [name, answered[name]]))
  },
}

const byId = {
  type: 'object',
  properties: { id: { type: 'string', description: 'The id of the upload' } },
  required: ['id'],
}
const body = (type: string, description: string) => ({
  content: { [type]: { schema: { type: 'string', format: 'binary', description } } },
})
const tags = ['Resumable uploads']

/** The schemas of the routes. */
export const schemas = {
  create: {
    tags,
    summary: 'Create an upload',
    description:
      'RUFH: with Upload-Complete; the body holds the whole file, its first bytes, or nothing. 104 tells the URL before the body is read.',
    headers: requestHeaders(
      sent,
      [
        'Upload-Draft-Interop-Version',
        ...completeness,
        'Upload-Length',
        'Upload-Metadata',
        'Content-Disposition',
        'Content-Digest',
        'Repr-Digest',
        'Want-Repr-Digest',
      ],
      ['Upload-Complete'],
    ),
    body: body('*/*', 'The file, or its first bytes; the media type is that of the file'),
    response: {
      201: emptyAnswer('RUFH: the upload is created; Upload-Complete says whether it is complete', answered, [
        ...state,
        'Location',
        'Upload-Resume-Token',
      ]),
      ...errorAnswersOf(
        [...anyRequest, ...anyUpload, ...creation, ...bytes, 'MISSING_FIELD', 'UPLOAD_COMPLETED'],
        errorForm,
      ),
    },
  },
  append: {
    tags,
    params: byId,
    summary: 'Append bytes to an upload',
    description: 'RUFH: at Upload-Offset. What arrives is kept when the connection breaks.',
    headers: requestHeaders(
      sent,
      ['Upload-Draft-Interop-Version', ...completeness, 'Upload-Offset', 'Upload-Length', 'Content-Digest'],
      ['Upload-Offset'],
    ),
    body: body(partialUploadType, 'The next bytes of the file'),
    response: {
      201: emptyAnswer('RUFH: the file is complete; until draft -05 also: the bytes are durable', answered, [
        ...state,
        'Location',
      ]),
      204: emptyAnswer('RUFH: the bytes are durable', answered, [...state]),
      ...errorAnswersOf(
        [
          ...anyRequest,
          ...anyUpload,
          ...bytes,
          'MISSING_FIELD',
          'OFFSET_MISMATCH',
          'UPLOAD_CLOSED',
          'UPLOAD_COMPLETED',
          'METHOD_NOT_ALLOWED',
        ],
        errorForm,
      ),
    },
  },
  retrieve: {
    tags,
    params: byId,
    summary: 'Read the offset of an upload',
    description: 'RUFH: GET from draft -11 on.',
    headers: requestHeaders(sent, ['Upload-Draft-Interop-Version']),
    response: {
      204: emptyAnswer('RUFH: the upload', answered, [...state, 'Upload-Length', 'Upload-Defer-Length']),
      ...errorAnswersOf(
        [...anyRequest, ...anyUpload, 'UPLOAD_LOCKED', 'STORE_UNAVAILABLE', 'R2_ERROR', 'METHOD_NOT_ALLOWED'],
        errorForm,
      ),
    },
  },
  cancel: {
    tags,
    params: byId,
    summary: 'Cancel an upload, or delete the file of a completed one',
    headers: requestHeaders(sent, ['Upload-Draft-Interop-Version']),
    response: {
      204: emptyAnswer('RUFH: the upload is gone', answered, [...always]),
      ...errorAnswersOf([...anyRequest, ...anyUpload, 'UPLOAD_LOCKED', 'STORE_UNAVAILABLE', 'R2_ERROR'], errorForm),
    },
  },
  options: {
    tags,
    summary: 'Read what the server supports',
    response: {
      204: emptyAnswer('RUFH: its limits', answered, ['Upload-Limit', 'Accept-Patch', ...always]),
    },
  },
}

/** POST in place of PATCH or DELETE. */
export const overrideSchema = {
  ...schemas.append,
  summary: 'PATCH or DELETE an upload, for clients that can send POST only',
  description: 'RUFH: X-HTTP-Method-Override names the method. PUT never does.',
  headers: requestHeaders(
    { ...sent, ...commonHeaders.request },
    [
      'X-HTTP-Method-Override',
      'Upload-Draft-Interop-Version',
      ...completeness,
      'Upload-Offset',
      'Upload-Length',
      'Content-Digest',
    ],
    ['X-HTTP-Method-Override'],
  ),
}
