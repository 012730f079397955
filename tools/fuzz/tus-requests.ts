import { createHash } from 'node:crypto'
import { fileBytes } from './file-bytes.ts'
import { authorization, type Context, ownerHeaders, pickUpload, type RequestSpec, rest, sizeOf } from './request.ts'

const version: [string, string] = ['tus-resumable', '1.0.0']
const chunkType: [string, string] = ['content-type', 'application/offset+octet-stream']

/** A valid tus request. */
export function tusRequest(context: Context): RequestSpec {
  const { random } = context
  return random.pick([create, create, createWithBytes, patch, patch, patch, head, remove, concatenate, options])(
    context,
  )
}

function create(context: Context): RequestSpec {
  const { random } = context
  const length: [string, string] = random.chance(0.75)
    ? ['upload-length', String(sizeOf(context))]
    : ['upload-defer-length', '1']
  const metadata: [string, string][] = random.chance(0.3)
    ? [['upload-metadata', 'filename YS50eHQ=,filetype dGV4dC9wbGFpbg==']]
    : []
  const concat: [string, string][] = random.chance(0.3) ? [['upload-concat', 'partial']] : []
  return {
    method: 'POST',
    path: '/files',
    headers: [...authorization(context), version, length, ...metadata, ...concat],
    bytes: null,
  }
}

function createWithBytes(context: Context): RequestSpec {
  const spec = create(context)
  const length = spec.headers.find(([name]) => name === 'upload-length')
  const size = length ? Number(length[1]) : sizeOf(context)
  const bytes = fileBytes(context.random, context.random.pick([size, size, Math.floor(size / 2), 0]))
  return { ...spec, headers: [...spec.headers, chunkType], bytes }
}

function patch(context: Context): RequestSpec {
  const { random } = context
  const upload = pickUpload(context)
  const bytes = rest(context, upload)
  const headers: [string, string][] = [
    ...ownerHeaders(context, upload),
    version,
    chunkType,
    ['upload-offset', String(upload.offset)],
  ]
  if (upload.size === null && random.chance(0.3)) headers.push(['upload-length', String(upload.offset + bytes.length)])
  const sum = `sha1 ${createHash('sha1').update(bytes).digest('base64')}`
  const dice = random.next()
  if (dice < 0.15) headers.push(['upload-checksum', sum])
  if (dice > 0.15 && dice < 0.2) headers.push(['upload-checksum', 'sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk='])
  if (dice > 0.85) headers.push(['trailer', 'Upload-Checksum'])
  const trailer = dice > 0.85 ? { trailer: `Upload-Checksum: ${sum}` } : {}
  const method = random.chance(0.1) ? 'POST' : 'PATCH'
  if (method === 'POST') headers.push(['x-http-method-override', 'PATCH'])
  return { method, path: `/files/${upload.id}`, headers, bytes, ...trailer }
}

function head(context: Context): RequestSpec {
  const upload = pickUpload(context)
  return {
    method: 'HEAD',
    path: `/files/${upload.id}`,
    headers: [...ownerHeaders(context, upload), version],
    bytes: null,
  }
}

function remove(context: Context): RequestSpec {
  return { ...head(context), method: 'DELETE' }
}

function concatenate(context: Context): RequestSpec {
  const { random, known } = context
  const partials = known.filter(({ isPartial }) => isPartial)
  const from = Array.from({ length: random.int(1, 3) }, () =>
    partials.length > 0 ? random.pick(partials) : pickUpload(context),
  )
  const urls = from.map(({ id }) => random.pick(['/files/', 'http://files.example/files/', '']) + id)
  const headers: [string, string][] = [
    ...authorization(context, from[0]!.owner),
    version,
    ['upload-concat', `final;${urls.join(' ')}`],
  ]
  return { method: 'POST', path: '/files', headers, bytes: null }
}

function options(context: Context): RequestSpec {
  const { random } = context
  const path = random.pick(['/files', `/files/${pickUpload(context).id}`])
  const preflight: [string, string][] = [
    ['origin', 'https://app.example'],
    ['access-control-request-method', 'PATCH'],
    ['access-control-request-headers', 'tus-resumable'],
  ]
  return { method: 'OPTIONS', path, headers: random.chance(0.5) ? preflight : [], bytes: null }
}
