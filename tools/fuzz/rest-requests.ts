import { createHash } from 'node:crypto'
import { fileBytes } from './file-bytes.ts'
import {
  authorization,
  type Context,
  type KnownUpload,
  ownerHeaders,
  pickUpload,
  type RequestSpec,
  sizeOf,
} from './request.ts'

const json: [string, string] = ['content-type', 'application/json']

/** A valid REST request, by a current or a legacy route, or one to another route of the API. */
export function restRequest(context: Context): RequestSpec {
  const { random } = context
  return random.pick([
    init,
    init,
    chunk,
    chunk,
    chunk,
    chunk,
    complete,
    complete,
    status,
    cancel,
    singleRequest,
    form,
    otherRoute,
    otherRoute,
    setFingerprint,
    key,
  ])(context)
}

function init(context: Context): RequestSpec {
  const { random } = context
  const isLegacy = random.chance(0.3)
  const fields = {
    file_name: 'a b.txt',
    total_size: sizeOf(context),
    content_type: 'text/plain',
    ...(random.chance(0.3) && { category: 'document' }),
    ...(random.chance(0.2) && { fingerprint: 'a b.txt-5' }),
    ...(isLegacy && { user_role: 'creator' }),
  }
  const path = isLegacy ? '/api/upload/init' : '/v1/uploads/init'
  return {
    method: 'POST',
    path,
    headers: [...authorization(context, 'ada'), json],
    bytes: Buffer.from(JSON.stringify(fields)),
  }
}

function chunk(context: Context): RequestSpec {
  const { random, part } = context
  const upload = pickUpload(context)
  const count = Math.max(1, Math.ceil((upload.size ?? part) / part))
  const index = random.int(0, count - 1)
  const bytes = fileBytes(random, Math.max(0, Math.min(part, (upload.size ?? part) - index * part)))
  const headers: [string, string][] = [
    ['x-chunk-index', String(index)],
    ['content-type', 'application/octet-stream'],
  ]
  if (random.chance(0.15)) headers.push(['content-md5', createHash('md5').update(bytes).digest('base64')])
  if (random.chance(0.15))
    headers.push(['content-digest', `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`])
  return uploadRequest(context, upload, 'chunk', headers, bytes)
}

function complete(context: Context): RequestSpec {
  const { random } = context
  const parts = [
    { chunk_index: 0, etag: 'a' },
    { part_number: 2, etag: 'b' },
  ].slice(0, random.int(0, 2))
  const body = random.chance(0.7) ? {} : { parts }
  return uploadRequest(context, pickUpload(context), 'complete', [json], Buffer.from(JSON.stringify(body)))
}

function cancel(context: Context): RequestSpec {
  const spec = uploadRequest(context, pickUpload(context), 'cancel', [], null)
  return context.random.chance(0.5) ? { ...spec, method: 'DELETE' } : spec
}

function status(context: Context): RequestSpec {
  const upload = pickUpload(context)
  const path = context.random.pick([
    `/v1/uploads/${upload.id}/status`,
    `/api/upload/${upload.id}/status`,
    `/v1/uploads/${upload.id}`,
  ])
  return { method: 'GET', path, headers: ownerHeaders(context, upload), bytes: null }
}

/** Names the upload in the path, or in the header of the legacy routes. */
function uploadRequest(
  context: Context,
  upload: KnownUpload,
  action: string,
  headers: [string, string][],
  bytes: Buffer | null,
): RequestSpec {
  const all = [...ownerHeaders(context, upload), ...headers]
  if (context.random.chance(0.3))
    return { method: 'POST', path: `/api/upload/${action}`, headers: [...all, ['x-upload-id', upload.id]], bytes }
  const method = action === 'chunk' && context.random.chance(0.7) ? 'PUT' : 'POST'
  return { method, path: `/v1/uploads/${upload.id}/${action}`, headers: all, bytes }
}

function singleRequest(context: Context): RequestSpec {
  const headers: [string, string][] = [...authorization(context), ['content-type', 'text/plain']]
  return {
    method: 'PUT',
    path: '/v1/files/a%20b.txt?category=document',
    headers,
    bytes: fileBytes(context.random, sizeOf(context)),
  }
}

function form(context: Context): RequestSpec {
  const { random } = context
  const field = '--b0\r\nContent-Disposition: form-data; name="category"\r\n\r\ndocument\r\n'
  const head = '--b0\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
  const files = Array.from({ length: random.int(0, 3) }, () => [
    head,
    fileBytes(random, random.int(0, 100)),
    '\r\n',
  ]).flat()
  const bytes = Buffer.concat([field, ...files, '--b0--\r\n'].map((field) => Buffer.from(field as string)))
  const headers: [string, string][] = [...authorization(context), ['content-type', 'multipart/form-data; boundary=b0']]
  return { method: 'POST', path: '/v1/files', headers, bytes }
}

function otherRoute(context: Context): RequestSpec {
  const { random } = context
  const upload = pickUpload(context)
  const path = random.pick([
    '/v1/me',
    '/v1/uploads',
    '/v1/uploads?limit=3',
    '/v1/uploads?fingerprint=a%20b.txt-5',
    '/v1/admin/keys',
    `/v1/uploads?before=${upload.id}`,
    `/v1/uploads/${upload.id}`,
    '/',
    '/healthz',
    '/v1/openapi.json',
    '/favicon.svg',
  ])
  const method = path.endsWith(upload.id) && path.startsWith('/v1/uploads/') && random.chance(0.3) ? 'DELETE' : 'GET'
  // A body where the route takes none.
  if (random.chance(0.2))
    return { method, path, headers: [...ownerHeaders(context, upload), json], bytes: Buffer.from('{}') }
  return { method, path, headers: ownerHeaders(context, upload), bytes: null }
}

function setFingerprint(context: Context): RequestSpec {
  const upload = pickUpload(context)
  const bytes = Buffer.from(JSON.stringify({ fingerprint: context.random.pick(['a b.txt-5', null]) }))
  return {
    method: 'PUT',
    path: `/v1/uploads/${upload.id}/fingerprint`,
    headers: [...ownerHeaders(context, upload), json],
    bytes,
  }
}

/** Creates or revokes an API key, mostly as an admin. */
function key(context: Context): RequestSpec {
  const { random } = context
  const headers = authorization(context, random.chance(0.8) ? 'amy' : 'ada')
  if (random.chance(0.2))
    return { method: 'DELETE', path: `/v1/admin/keys/${pickUpload(context).id}`, headers, bytes: null }
  const fields = {
    name: 'a key',
    role: 'creator',
    scopes: ['upload', 'read'],
    ...(random.chance(0.5) && { user: 'ada' }),
  }
  return {
    method: 'POST',
    path: '/v1/admin/keys',
    headers: [...headers, json],
    bytes: Buffer.from(JSON.stringify(fields)),
  }
}
