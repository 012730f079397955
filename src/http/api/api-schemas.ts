import { me } from '../../contract/me.ts'
import {
  byUploadId,
  ownUpload,
  ownUploads,
  ownUploadsQuery,
  setFingerprint,
  uploadParts,
} from '../../contract/upload.ts'
import { jsonSchema } from './json-schema.ts'

const noContent = { type: 'null', description: 'Done' }

/** The schemas of the JSON API, for Fastify and OpenAPI. */
export const schemas = {
  me: {
    tags: ['Identity'],
    summary: 'The authenticated user and what they may upload',
    response: { 200: jsonSchema(me, 'output') },
  },
  list: {
    tags: ['Uploads'],
    summary: 'My uploads, newest first',
    querystring: jsonSchema(ownUploadsQuery, 'input'),
    response: { 200: jsonSchema(ownUploads, 'output') },
  },
  get: {
    tags: ['Uploads'],
    summary: 'One of my uploads',
    params: jsonSchema(byUploadId, 'input'),
    response: { 200: jsonSchema(ownUpload, 'output') },
  },
  parts: {
    tags: ['Uploads'],
    summary: 'The stored parts of one of my uploads',
    description:
      'A client that resumes an upload can compare parts with its file before it sends more. With S3 the server computes a CRC-32 only if `S3_CRC32` is set.',
    params: jsonSchema(byUploadId, 'input'),
    response: { 200: jsonSchema(uploadParts, 'output') },
  },
  setFingerprint: {
    tags: ['Uploads'],
    summary: 'Set the fingerprint by which the client recognizes the file',
    description:
      'Lets the owner find the upload on another device. A creation can set it too: in tus with the metadata key `fingerprint`.',
    params: jsonSchema(byUploadId, 'input'),
    body: jsonSchema(setFingerprint, 'input'),
    response: { 204: noContent },
  },
  cancel: {
    tags: ['Uploads'],
    summary: 'Cancel an upload, or delete the file of a completed one',
    params: jsonSchema(byUploadId, 'input'),
    response: { 204: noContent },
  },
}
