import { fileHeaders } from '../../contract/headers.ts'
import { byToken, contentQuery, createLink, link } from '../../contract/links.ts'
import { byUploadId } from '../../contract/upload.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'

const tags = ['Files']
const request = { type: 'object', properties: fileHeaders.request }
const binary = (description: string) => ({
  description,
  headers: fileHeaders.response,
  content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
})
const bytes = {
  200: binary('The file'),
  206: binary('One range of the file'),
  302: { type: 'null', description: 'The bytes are at Location, for a minute' },
  304: { type: 'null', description: 'The client has the file' },
}

/** The schemas of the routes, as Fastify and OpenAPI read them. */
export const schemas = {
  content: {
    tags,
    summary: 'The bytes of a file',
    description: 'The id is that of the upload. Answers ranges and conditional requests (RFC 9110).',
    params: jsonSchema(byUploadId, 'input'),
    querystring: jsonSchema(contentQuery, 'input'),
    headers: request,
    response: bytes,
  },
  createLink: {
    tags,
    summary: 'Make a link to a file that needs no token',
    params: jsonSchema(byUploadId, 'input'),
    body: jsonSchema(createLink, 'input'),
    response: { 201: jsonSchema(link, 'output') },
  },
  revokeLinks: {
    tags,
    summary: 'Revoke all links to a file',
    params: jsonSchema(byUploadId, 'input'),
    response: { 204: { type: 'null', description: 'Done' } },
  },
  linked: {
    tags,
    summary: 'The bytes of a file, by a link',
    description: 'Needs no token. Answers ranges and conditional requests (RFC 9110).',
    security: [],
    params: jsonSchema(byToken, 'input'),
    headers: request,
    response: bytes,
  },
}
