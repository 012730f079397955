import type { Seeded } from '../../test/support/seeded.ts'
import { headerNames, jsonValues, methods, odd, pathEnds, valuesFor } from './dictionary.ts'
import type { RequestSpec } from './request.ts'

/** Returns the request with up to three mutations; those after which it reaches no route are rare. */
export function mutate(spec: RequestSpec, random: Seeded): RequestSpec {
  let mutated: RequestSpec = { ...spec, headers: spec.headers.map(([name, value]) => [name, value]) }
  const count = random.pick([0, 1, 1, 1, 2, 3])
  for (let left = count; left > 0; left -= 1) mutated = random.pick(mutations)(mutated, random)
  return mutated
}

type Mutation = (spec: RequestSpec, random: Seeded) => RequestSpec

const mutations: Mutation[] = [
  header,
  header,
  header,
  header,
  anotherHeader,
  anotherHeader,
  bytes,
  bytes,
  fields,
  path,
  method,
]

/** Changes, removes, repeats or misspells a header. */
function header(spec: RequestSpec, random: Seeded): RequestSpec {
  const { headers } = spec
  if (headers.length === 0) return spec
  const at = random.int(0, headers.length - 1)
  const [name, value] = headers[at]!
  // Without a valid token the server answers 401 and does not read the rest of the request.
  if (name === 'authorization' && random.chance(0.8)) return anotherHeader(spec, random)
  const changed = random.pick<() => [string, string][]>([
    () => [],
    () => [[name, valueFor(name, random)]],
    () => [[name, valueFor(name, random)]],
    () => [[name, valueFor(name, random)]],
    () => [[name, mutateText(value, random)]],
    () => [
      [name, value],
      [name, random.chance(0.5) ? value : valueFor(name, random)],
    ],
    () => [[random.pick([name.toUpperCase(), `${name} `, ` ${name}`, `${name}\0`, name.replaceAll('-', '_')]), value]],
  ])()
  return { ...spec, headers: [...headers.slice(0, at), ...changed, ...headers.slice(at + 1)] }
}

function anotherHeader(spec: RequestSpec, random: Seeded): RequestSpec {
  const name = random.pick(headerNames)
  const more: [string, string] = [name, valueFor(name, random)]
  return { ...spec, headers: random.chance(0.5) ? [...spec.headers, more] : [more, ...spec.headers] }
}

function valueFor(name: string, random: Seeded): string {
  const values = valuesFor[name]
  return values && random.chance(0.85) ? random.pick(values) : random.pick(odd)
}

function mutateText(text: string, random: Seeded): string {
  const at = random.int(0, text.length)
  if (/^\d+$/.test(text)) return String(Number(text) + random.pick([-1, 1, 5, 2 ** 31]))
  return random.pick([
    text.slice(0, at),
    text.slice(at),
    `${text}, ${text}`,
    `${text.slice(0, at)}${random.pick(odd)}${text.slice(at)}`,
  ])
}

function bytes(spec: RequestSpec, random: Seeded): RequestSpec {
  const before = spec.bytes ?? Buffer.alloc(0)
  if (before.length === 0) return { ...spec, bytes: random.bytes(random.int(0, 30)) }
  const at = random.int(0, before.length - 1)
  const after = random.pick<() => Buffer | null>([
    () => null,
    () => Buffer.from(before).fill(random.int(0, 255), at, at + 1),
    () => before.subarray(0, at),
    () => before.subarray(at),
    () => Buffer.concat([before, random.bytes(random.int(1, 40))]),
    () => Buffer.concat([before.subarray(0, at), before.subarray(0, 2000), before.subarray(at)]),
    () =>
      Buffer.concat([
        before.subarray(0, at),
        Buffer.from(random.pick(['\r\n', '--b0', '\0', '{', '}', '"', ',', '['])),
      ]),
  ])()
  return { ...spec, bytes: after }
}

/** Changes a field of a JSON body. */
function fields(spec: RequestSpec, random: Seeded): RequestSpec {
  const parsed = parse(spec.bytes)
  if (parsed === null) return header(spec, random)
  if (random.chance(0.1)) return { ...spec, bytes: Buffer.from(JSON.stringify(random.pick(jsonValues))) }
  const name = random.pick([
    ...Object.keys(parsed),
    'user_id',
    'user_role',
    'upload_id',
    'parts',
    'category',
    '__proto__',
  ])
  const value = random.chance(0.2)
    ? undefined
    : random.pick([...jsonValues, [{ chunk_index: random.pick(jsonValues), etag: random.pick(jsonValues) }]])
  return { ...spec, bytes: Buffer.from(JSON.stringify({ ...parsed, [name]: value })) }
}

function parse(bytes: Buffer | null): object | null {
  try {
    const value: unknown = JSON.parse(String(bytes))
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    return null
  }
}

function path(spec: RequestSpec, random: Seeded): RequestSpec {
  const segment = encodeURIComponent(random.pick(odd)).slice(0, 600)
  const mutated = random.pick<() => string>([
    () => spec.path + random.pick(pathEnds),
    () => spec.path + random.pick(pathEnds),
    () => spec.path.replace(/[^/?]+(?=\/|$|\?)/, () => segment),
    () => spec.path.replace(/[^/?]+(?=$|\?)/, () => segment),
    () => `/${spec.path}`,
    () => spec.path.toUpperCase(),
    () => `http://files.example${spec.path}`,
    () =>
      random.pick([
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
  return { ...spec, path: mutated }
}

function method(spec: RequestSpec, random: Seeded): RequestSpec {
  return { ...spec, method: random.pick(methods) }
}
