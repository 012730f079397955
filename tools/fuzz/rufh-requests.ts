import { createHash } from 'node:crypto'
import { fileBytes } from './file-bytes.ts'
import { authorization, type Context, ownerHeaders, pickUpload, type RequestSpec, rest, sizeOf } from './request.ts'

/** A valid RUFH request, of one of its interop versions. */
export function rufhRequest(context: Context): RequestSpec {
  const { random } = context
  const version = random.pick([3, 4, 5, 6, 6, 7, 8, 9, 10])
  return random.pick([create, create, append, append, append, retrieve, remove, options])(context, version)
}

function interopVersion({ random }: Context, version: number): [string, string][] {
  return random.chance(0.95) ? [['upload-draft-interop-version', String(version)]] : []
}

function completeness(version: number, isLast: boolean): [string, string] {
  return version === 3 ? ['upload-incomplete', isLast ? '?0' : '?1'] : ['upload-complete', isLast ? '?1' : '?0']
}

function digest(bytes: Buffer): string {
  return `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
}

function create(context: Context, version: number): RequestSpec {
  const { random } = context
  const isLast = random.chance(0.5)
  const size = sizeOf(context)
  const bytes = fileBytes(random, isLast ? size : random.pick([0, Math.floor(size / 2), size]))
  const headers = [...authorization(context), ...interopVersion(context, version), completeness(version, isLast)]
  if (random.chance(0.4)) headers.push(['upload-length', String(size)])
  if (random.chance(0.3))
    headers.push(['content-disposition', 'attachment; filename="a.txt"'], ['content-type', 'text/plain'])
  if (random.chance(0.15)) headers.push(['content-digest', digest(bytes)])
  if (random.chance(0.1)) headers.push(['repr-digest', digest(bytes)])
  if (random.chance(0.1)) headers.push(['want-repr-digest', 'sha-256=10'])
  return { method: random.pick(['POST', 'POST', 'PUT']), path: '/files', headers, bytes }
}

function append(context: Context, version: number): RequestSpec {
  const { random } = context
  const upload = pickUpload(context)
  const bytes = rest(context, upload)
  const isLast = upload.size === null ? random.chance(0.5) : upload.offset + bytes.length === upload.size
  const headers = [
    ...ownerHeaders(context, upload),
    ...interopVersion(context, version),
    completeness(version, isLast),
    ['upload-offset', String(upload.offset)] satisfies [string, string],
  ]
  if (version >= 6) headers.push(['content-type', 'application/partial-upload'])
  if (random.chance(0.15))
    headers.push(['content-digest', random.chance(0.7) ? digest(bytes) : digest(Buffer.from('x'))])
  return { method: 'PATCH', path: `/files/${upload.id}`, headers, bytes }
}

function retrieve(context: Context, version: number): RequestSpec {
  const upload = pickUpload(context)
  const method = version >= 9 ? context.random.pick(['GET', 'HEAD']) : 'HEAD'
  return {
    method,
    path: `/files/${upload.id}`,
    headers: [...ownerHeaders(context, upload), ...interopVersion(context, version)],
    bytes: null,
  }
}

function remove(context: Context, version: number): RequestSpec {
  return { ...retrieve(context, version), method: 'DELETE' }
}

function options(context: Context, version: number): RequestSpec {
  return { method: 'OPTIONS', path: '/files', headers: interopVersion(context, version), bytes: null }
}
