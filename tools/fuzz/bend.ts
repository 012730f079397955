import type { Seeded } from '../../test/support/seeded.ts'
import type { Draft } from './draft.ts'
import { headerNames, jsonValues, methods, odd, pathEnds, wordsFor } from './words.ts'

/** The same request with up to three things bent; seldom those after which it reaches no route. */
export function bend(draft: Draft, chance: Seeded): Draft {
  let bent: Draft = { ...draft, headers: draft.headers.map(([name, value]) => [name, value]) }
  const count = chance.pick([0, 1, 1, 1, 2, 3])
  for (let left = count; left > 0; left -= 1) bent = chance.pick(ways)(bent, chance)
  return bent
}

type Way = (draft: Draft, chance: Seeded) => Draft

const ways: Way[] = [header, header, header, header, anotherHeader, anotherHeader, bytes, bytes, fields, path, method]

/** A header it has says something else, is left out, comes twice, or is spelt oddly. */
function header(draft: Draft, chance: Seeded): Draft {
  const { headers } = draft
  if (headers.length === 0) return draft
  const at = chance.int(0, headers.length - 1)
  const [name, value] = headers[at]!
  // Who asks with a token that is none is told so whatever else is said.
  if (name === 'authorization' && chance.chance(0.8)) return anotherHeader(draft, chance)
  const changed = chance.pick<() => [string, string][]>([
    () => [],
    () => [[name, wordFor(name, chance)]],
    () => [[name, wordFor(name, chance)]],
    () => [[name, wordFor(name, chance)]],
    () => [[name, bendText(value, chance)]],
    () => [
      [name, value],
      [name, chance.chance(0.5) ? value : wordFor(name, chance)],
    ],
    () => [[chance.pick([name.toUpperCase(), `${name} `, ` ${name}`, `${name}\0`, name.replaceAll('-', '_')]), value]],
  ])()
  return { ...draft, headers: [...headers.slice(0, at), ...changed, ...headers.slice(at + 1)] }
}

function anotherHeader(draft: Draft, chance: Seeded): Draft {
  const name = chance.pick(headerNames)
  const more: [string, string] = [name, wordFor(name, chance)]
  return { ...draft, headers: chance.chance(0.5) ? [...draft.headers, more] : [more, ...draft.headers] }
}

function wordFor(name: string, chance: Seeded): string {
  const words = wordsFor[name]
  return words && chance.chance(0.85) ? chance.pick(words) : chance.pick(odd)
}

function bendText(text: string, chance: Seeded): string {
  const at = chance.int(0, text.length)
  if (/^\d+$/.test(text)) return String(Number(text) + chance.pick([-1, 1, 5, 2 ** 31]))
  return chance.pick([
    text.slice(0, at),
    text.slice(at),
    `${text}, ${text}`,
    `${text.slice(0, at)}${chance.pick(odd)}${text.slice(at)}`,
  ])
}

function bytes(draft: Draft, chance: Seeded): Draft {
  const before = draft.bytes ?? Buffer.alloc(0)
  if (before.length === 0) return { ...draft, bytes: chance.bytes(chance.int(0, 30)) }
  const at = chance.int(0, before.length - 1)
  const after = chance.pick<() => Buffer | null>([
    () => null,
    () => Buffer.from(before).fill(chance.int(0, 255), at, at + 1),
    () => before.subarray(0, at),
    () => before.subarray(at),
    () => Buffer.concat([before, chance.bytes(chance.int(1, 40))]),
    () => Buffer.concat([before.subarray(0, at), before.subarray(0, 2000), before.subarray(at)]),
    () =>
      Buffer.concat([
        before.subarray(0, at),
        Buffer.from(chance.pick(['\r\n', '--b0', '\0', '{', '}', '"', ',', '['])),
      ]),
  ])()
  return { ...draft, bytes: after }
}

/** Of a JSON body, one field. */
function fields(draft: Draft, chance: Seeded): Draft {
  const said = parse(draft.bytes)
  if (said === null) return header(draft, chance)
  if (chance.chance(0.1)) return { ...draft, bytes: Buffer.from(JSON.stringify(chance.pick(jsonValues))) }
  const name = chance.pick([
    ...Object.keys(said),
    'user_id',
    'user_role',
    'upload_id',
    'parts',
    'category',
    '__proto__',
  ])
  const value = chance.chance(0.2)
    ? undefined
    : chance.pick([...jsonValues, [{ chunk_index: chance.pick(jsonValues), etag: chance.pick(jsonValues) }]])
  return { ...draft, bytes: Buffer.from(JSON.stringify({ ...said, [name]: value })) }
}

function parse(bytes: Buffer | null): object | null {
  try {
    const value: unknown = JSON.parse(String(bytes))
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    return null
  }
}

function path(draft: Draft, chance: Seeded): Draft {
  const segment = encodeURIComponent(chance.pick(odd)).slice(0, 600)
  const bent = chance.pick<() => string>([
    () => draft.path + chance.pick(pathEnds),
    () => draft.path + chance.pick(pathEnds),
    () => draft.path.replace(/[^/?]+(?=\/|$|\?)/, () => segment),
    () => draft.path.replace(/[^/?]+(?=$|\?)/, () => segment),
    () => `/${draft.path}`,
    () => draft.path.toUpperCase(),
    () => `http://files.example${draft.path}`,
    () =>
      chance.pick([
        '*',
        '/',
        '',
        '//',
        'files',
        '/files/',
        '/v1/',
        '/api/upload/',
        `/${'a'.repeat(9000)}`,
        '/\xff',
        '/..',
      ]),
  ])()
  return { ...draft, path: bent }
}

function method(draft: Draft, chance: Seeded): Draft {
  return { ...draft, method: chance.pick(methods) }
}
