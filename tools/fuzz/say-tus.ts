import { createHash } from 'node:crypto'
import { as, asOwner, type Draft, type Making, rest, sizeOf, upload } from './draft.ts'
import { fileBytes } from './file-bytes.ts'

const version: [string, string] = ['tus-resumable', '1.0.0']
const chunkType: [string, string] = ['content-type', 'application/offset+octet-stream']

/** A sound request of tus. */
export function sayTus(making: Making): Draft {
  const { chance } = making
  return chance.pick([create, create, createWithBytes, patch, patch, patch, head, remove, join, options])(making)
}

function create(making: Making): Draft {
  const { chance } = making
  const length: [string, string] = chance.chance(0.75)
    ? ['upload-length', String(sizeOf(making))]
    : ['upload-defer-length', '1']
  const words: [string, string][] = chance.chance(0.3)
    ? [['upload-metadata', 'filename YS50eHQ=,filetype dGV4dC9wbGFpbg==']]
    : []
  const concat: [string, string][] = chance.chance(0.3) ? [['upload-concat', 'partial']] : []
  return { method: 'POST', path: '/files', headers: [...as(making), version, length, ...words, ...concat], bytes: null }
}

function createWithBytes(making: Making): Draft {
  const draft = create(making)
  const length = draft.headers.find(([name]) => name === 'upload-length')
  const size = length ? Number(length[1]) : sizeOf(making)
  const bytes = fileBytes(making.chance, making.chance.pick([size, size, Math.floor(size / 2), 0]))
  return { ...draft, headers: [...draft.headers, chunkType], bytes }
}

function patch(making: Making): Draft {
  const { chance } = making
  const one = upload(making)
  const bytes = rest(making, one)
  const headers: [string, string][] = [
    ...asOwner(making, one),
    version,
    chunkType,
    ['upload-offset', String(one.offset)],
  ]
  if (one.size === null && chance.chance(0.3)) headers.push(['upload-length', String(one.offset + bytes.length)])
  const sum = `sha1 ${createHash('sha1').update(bytes).digest('base64')}`
  const how = chance.next()
  if (how < 0.15) headers.push(['upload-checksum', sum])
  if (how > 0.15 && how < 0.2) headers.push(['upload-checksum', 'sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk='])
  if (how > 0.85) headers.push(['trailer', 'Upload-Checksum'])
  const trailer = how > 0.85 ? { trailer: `Upload-Checksum: ${sum}` } : {}
  const method = chance.chance(0.1) ? 'POST' : 'PATCH'
  if (method === 'POST') headers.push(['x-http-method-override', 'PATCH'])
  return { method, path: `/files/${one.id}`, headers, bytes, ...trailer }
}

function head(making: Making): Draft {
  const one = upload(making)
  return { method: 'HEAD', path: `/files/${one.id}`, headers: [...asOwner(making, one), version], bytes: null }
}

function remove(making: Making): Draft {
  return { ...head(making), method: 'DELETE' }
}

function join(making: Making): Draft {
  const { chance, known } = making
  const partials = known.filter(({ isPartial }) => isPartial)
  const from = Array.from({ length: chance.int(1, 3) }, () =>
    partials.length > 0 ? chance.pick(partials) : upload(making),
  )
  const urls = from.map(({ id }) => chance.pick(['/files/', 'http://files.example/files/', '']) + id)
  const headers: [string, string][] = [
    ...as(making, from[0]!.owner),
    version,
    ['upload-concat', `final;${urls.join(' ')}`],
  ]
  return { method: 'POST', path: '/files', headers, bytes: null }
}

function options(making: Making): Draft {
  const { chance } = making
  const path = chance.pick(['/files', `/files/${upload(making).id}`])
  const preflight: [string, string][] = [
    ['origin', 'https://app.example'],
    ['access-control-request-method', 'PATCH'],
    ['access-control-request-headers', 'tus-resumable'],
  ]
  return { method: 'OPTIONS', path, headers: chance.chance(0.5) ? preflight : [], bytes: null }
}
