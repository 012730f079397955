import { createHash } from 'node:crypto'
import { as, asOwner, type Draft, type Known, type Making, sizeOf, upload } from './draft.ts'
import { fileBytes } from './file-bytes.ts'

const json: [string, string] = ['content-type', 'application/json']

/** A sound request of REST in one of its spellings, or of the API beside it. */
export function sayRest(making: Making): Draft {
  const { chance } = making
  return chance.pick([
    init,
    init,
    chunk,
    chunk,
    chunk,
    chunk,
    complete,
    complete,
    look,
    cancel,
    oneShot,
    form,
    beside,
    beside,
    mark,
    key,
  ])(making)
}

function init(making: Making): Draft {
  const { chance } = making
  const isOlder = chance.chance(0.3)
  const fields = {
    file_name: 'a b.txt',
    total_size: sizeOf(making),
    content_type: 'text/plain',
    ...(chance.chance(0.3) && { category: 'document' }),
    ...(chance.chance(0.2) && { fingerprint: 'a b.txt-5' }),
    ...(isOlder && { user_role: 'creator' }),
  }
  const path = isOlder ? '/api/upload/init' : '/v1/uploads/init'
  return { method: 'POST', path, headers: [...as(making, 'ada'), json], bytes: Buffer.from(JSON.stringify(fields)) }
}

function chunk(making: Making): Draft {
  const { chance, part } = making
  const one = upload(making)
  const count = Math.max(1, Math.ceil((one.size ?? part) / part))
  const index = chance.int(0, count - 1)
  const bytes = fileBytes(chance, Math.max(0, Math.min(part, (one.size ?? part) - index * part)))
  const headers: [string, string][] = [
    ['x-chunk-index', String(index)],
    ['content-type', 'application/octet-stream'],
  ]
  if (chance.chance(0.15)) headers.push(['content-md5', createHash('md5').update(bytes).digest('base64')])
  if (chance.chance(0.15))
    headers.push(['content-digest', `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`])
  return spelt(making, one, 'chunk', headers, bytes)
}

function complete(making: Making): Draft {
  const { chance } = making
  const parts = [
    { chunk_index: 0, etag: 'a' },
    { part_number: 2, etag: 'b' },
  ].slice(0, chance.int(0, 2))
  const body = chance.chance(0.7) ? {} : { parts }
  return spelt(making, upload(making), 'complete', [json], Buffer.from(JSON.stringify(body)))
}

function cancel(making: Making): Draft {
  const draft = spelt(making, upload(making), 'cancel', [], null)
  return making.chance.chance(0.5) ? { ...draft, method: 'DELETE' } : draft
}

function look(making: Making): Draft {
  const one = upload(making)
  const path = making.chance.pick([
    `/v1/uploads/${one.id}/status`,
    `/api/upload/${one.id}/status`,
    `/v1/uploads/${one.id}`,
  ])
  return { method: 'GET', path, headers: asOwner(making, one), bytes: null }
}

/** The upload in the path, or in the header of the older spelling. */
function spelt(making: Making, one: Known, verb: string, headers: [string, string][], bytes: Buffer | null): Draft {
  const all = [...asOwner(making, one), ...headers]
  if (making.chance.chance(0.3))
    return { method: 'POST', path: `/api/upload/${verb}`, headers: [...all, ['x-upload-id', one.id]], bytes }
  const method = verb === 'chunk' && making.chance.chance(0.7) ? 'PUT' : 'POST'
  return { method, path: `/v1/uploads/${one.id}/${verb}`, headers: all, bytes }
}

function oneShot(making: Making): Draft {
  const headers: [string, string][] = [...as(making), ['content-type', 'text/plain']]
  return {
    method: 'PUT',
    path: '/v1/files/a%20b.txt?category=document',
    headers,
    bytes: fileBytes(making.chance, sizeOf(making)),
  }
}

function form(making: Making): Draft {
  const { chance } = making
  const field = '--b0\r\nContent-Disposition: form-data; name="category"\r\n\r\ndocument\r\n'
  const head = '--b0\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
  const files = Array.from({ length: chance.int(0, 3) }, () => [
    head,
    fileBytes(chance, chance.int(0, 100)),
    '\r\n',
  ]).flat()
  const bytes = Buffer.concat([field, ...files, '--b0--\r\n'].map((piece) => Buffer.from(piece as string)))
  const headers: [string, string][] = [...as(making), ['content-type', 'multipart/form-data; boundary=b0']]
  return { method: 'POST', path: '/v1/files', headers, bytes }
}

function beside(making: Making): Draft {
  const { chance } = making
  const one = upload(making)
  const path = chance.pick([
    '/v1/me',
    '/v1/uploads',
    '/v1/uploads?limit=3',
    '/v1/uploads?fingerprint=a%20b.txt-5',
    '/v1/admin/keys',
    `/v1/uploads?before=${one.id}`,
    `/v1/uploads/${one.id}`,
    '/',
    '/healthz',
    '/v1/openapi.json',
    '/favicon.svg',
  ])
  const method = path.endsWith(one.id) && path.startsWith('/v1/uploads/') && chance.chance(0.3) ? 'DELETE' : 'GET'
  // A body where none is asked for.
  if (chance.chance(0.2)) return { method, path, headers: [...asOwner(making, one), json], bytes: Buffer.from('{}') }
  return { method, path, headers: asOwner(making, one), bytes: null }
}

/** What the client knows the file by, told afterwards. */
function mark(making: Making): Draft {
  const one = upload(making)
  const bytes = Buffer.from(JSON.stringify({ fingerprint: making.chance.pick(['a b.txt-5', null]) }))
  return { method: 'PUT', path: `/v1/uploads/${one.id}/fingerprint`, headers: [...asOwner(making, one), json], bytes }
}

/** A key is made, or taken away; mostly by whoever may. */
function key(making: Making): Draft {
  const { chance } = making
  const headers = as(making, chance.chance(0.8) ? 'amy' : 'ada')
  if (chance.chance(0.2)) return { method: 'DELETE', path: `/v1/admin/keys/${upload(making).id}`, headers, bytes: null }
  const fields = {
    name: 'a key',
    role: 'creator',
    scopes: ['upload', 'read'],
    ...(chance.chance(0.5) && { user: 'ada' }),
  }
  return {
    method: 'POST',
    path: '/v1/admin/keys',
    headers: [...headers, json],
    bytes: Buffer.from(JSON.stringify(fields)),
  }
}
