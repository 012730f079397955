import { createHash } from 'node:crypto'
import { as, asOwner, type Draft, type Making, rest, sizeOf, upload } from './draft.ts'
import { fileBytes } from './file-bytes.ts'

/** A sound request of RUFH, in one of its interop versions. */
export function sayRufh(making: Making): Draft {
  const { chance } = making
  const version = chance.pick([3, 4, 5, 6, 6, 7, 8, 9, 10])
  return chance.pick([create, create, append, append, append, retrieve, remove, options])(making, version)
}

function named({ chance }: Making, version: number): [string, string][] {
  return chance.chance(0.95) ? [['upload-draft-interop-version', String(version)]] : []
}

function last(version: number, isLast: boolean): [string, string] {
  return version === 3 ? ['upload-incomplete', isLast ? '?0' : '?1'] : ['upload-complete', isLast ? '?1' : '?0']
}

function digest(bytes: Buffer): string {
  return `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
}

function create(making: Making, version: number): Draft {
  const { chance } = making
  const isLast = chance.chance(0.5)
  const size = sizeOf(making)
  const bytes = fileBytes(chance, isLast ? size : chance.pick([0, Math.floor(size / 2), size]))
  const headers = [...as(making), ...named(making, version), last(version, isLast)]
  if (chance.chance(0.4)) headers.push(['upload-length', String(size)])
  if (chance.chance(0.3))
    headers.push(['content-disposition', 'attachment; filename="a.txt"'], ['content-type', 'text/plain'])
  if (chance.chance(0.15)) headers.push(['content-digest', digest(bytes)])
  if (chance.chance(0.1)) headers.push(['repr-digest', digest(bytes)])
  if (chance.chance(0.1)) headers.push(['want-repr-digest', 'sha-256=10'])
  return { method: chance.pick(['POST', 'POST', 'PUT']), path: '/files', headers, bytes }
}

function append(making: Making, version: number): Draft {
  const { chance } = making
  const one = upload(making)
  const bytes = rest(making, one)
  const isLast = one.size === null ? chance.chance(0.5) : one.offset + bytes.length === one.size
  const headers = [
    ...asOwner(making, one),
    ...named(making, version),
    last(version, isLast),
    ['upload-offset', String(one.offset)] satisfies [string, string],
  ]
  if (version >= 6) headers.push(['content-type', 'application/partial-upload'])
  if (chance.chance(0.15))
    headers.push(['content-digest', chance.chance(0.7) ? digest(bytes) : digest(Buffer.from('x'))])
  return { method: 'PATCH', path: `/files/${one.id}`, headers, bytes }
}

function retrieve(making: Making, version: number): Draft {
  const one = upload(making)
  const method = version >= 9 ? making.chance.pick(['GET', 'HEAD']) : 'HEAD'
  return {
    method,
    path: `/files/${one.id}`,
    headers: [...asOwner(making, one), ...named(making, version)],
    bytes: null,
  }
}

function remove(making: Making, version: number): Draft {
  return { ...retrieve(making, version), method: 'DELETE' }
}

function options(making: Making, version: number): Draft {
  return { method: 'OPTIONS', path: '/files', headers: named(making, version), bytes: null }
}
