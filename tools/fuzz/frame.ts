import type { Seeded } from '../../test/support/seeded.ts'
import type { Draft } from './draft.ts'

/** A request as it goes over the wire. */
export interface Framed {
  method: string
  path: string
  wire: Buffer
  /** Whether the server can see where it ends. Otherwise it waits for more, or takes what comes for another request. */
  isWhole: boolean
  /** Whether the server may end the connection instead of answering, as RUFH has it for who can resume. */
  mayBeSilent: boolean
}

interface Body {
  headers: [string, string][]
  wire: Buffer
  isWhole: boolean
}

/** Puts a draft into the form of HTTP; now and then into one that only looks like it. */
export function frame(draft: Draft, chance: Seeded, isLast: boolean): Framed {
  const { method, path } = draft
  const { headers, wire, isWhole } = frameBody(draft, chance)
  const names = new Set(draft.headers.map(([name]) => name.toLowerCase()))
  const version = chance.chance(0.97) ? '1.1' : chance.pick(['1.0', '1.0', '0.9', '2.0', '1.2', 'x'])
  const all: [string, string][] = [...draft.headers, ...headers]
  if (!names.has('host') && chance.chance(0.995)) all.unshift(['host', 'files.example'])
  if (isLast && !names.has('connection') && chance.chance(0.8)) all.push(['connection', 'close'])
  const end = chance.chance(0.995) ? '\r\n' : chance.pick(['\n', '\r\n ', '\r'])
  const lines = [`${method} ${path} HTTP/${version}`, ...all.map(([name, value]) => `${name}: ${value}`)]
  const head = Buffer.from(lines.join(end) + end + end, 'latin1')
  const isTus = draft.headers.some(([name, value]) => name.toLowerCase() === 'tus-resumable' && value === '1.0.0')
  return {
    method,
    path,
    wire: Buffer.concat([head, wire]),
    isWhole: isWhole && end === '\r\n' && version === '1.1',
    mayBeSilent: path.includes('files') && !isTus,
  }
}

function frameBody({ bytes, trailer }: Draft, chance: Seeded): Body {
  if (trailer !== undefined && chance.chance(0.9)) return chunked(bytes ?? Buffer.alloc(0), chance, `${trailer}\r\n`)
  const how = chance.next()
  if (bytes === null) {
    if (how < 0.97) return { headers: [], wire: Buffer.alloc(0), isWhole: true }
    return chance.pick([tooShort, nonsense])(chance.bytes(5), chance)
  }
  if (how < 0.75) return { headers: length(bytes.length), wire: bytes, isWhole: true }
  if (how < 0.87) return chunked(bytes, chance, '')
  return chance.pick([tooShort, tooLong, broken, broken, both, nonsense, unframed])(bytes, chance)
}

const length = (count: number | string): [string, string][] => [['content-length', String(count)]]
const coding = (value = 'chunked'): [string, string][] => [['transfer-encoding', value]]

function chunked(bytes: Buffer, chance: Seeded, trailer: string): Body {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = Math.min(bytes.length - at, chance.pick([1, 7, 1000, 16_384, bytes.length]))
    const spelt = chance.chance(0.1) ? `000${size.toString(16).toUpperCase()};name="value"` : size.toString(16)
    chunks.push(Buffer.from(`${spelt}\r\n`), bytes.subarray(at, at + size), Buffer.from('\r\n'))
    at += size
    // A body of thousands of chunks says nothing that one of dozens does not.
    if (chunks.length > 100) {
      chunks.push(Buffer.from(`${(bytes.length - at).toString(16)}\r\n`), bytes.subarray(at), Buffer.from('\r\n'))
      if (at === bytes.length) chunks.splice(-3)
      break
    }
  }
  return { headers: coding(), wire: Buffer.concat([...chunks, Buffer.from(`0\r\n${trailer}\r\n`)]), isWhole: true }
}

/** Announces more than comes. */
function tooShort(bytes: Buffer, chance: Seeded): Body {
  return { headers: length(bytes.length + chance.pick([1, 10, 100_000, 2 ** 40])), wire: bytes, isWhole: false }
}

/** Brings more than it announces: the rest looks like another request. */
function tooLong(bytes: Buffer, chance: Seeded): Body {
  return { headers: length(Math.max(0, bytes.length - chance.int(1, 10))), wire: bytes, isWhole: bytes.length === 0 }
}

function broken(bytes: Buffer, chance: Seeded): Body {
  const { wire } = chunked(bytes, chance, '')
  const hex = bytes.length.toString(16)
  const text = chance.pick<() => Buffer>([
    () => wire.subarray(0, wire.length - chance.int(1, Math.min(7, wire.length))),
    () => Buffer.concat([Buffer.from('zz\r\n'), bytes]),
    () => Buffer.concat([Buffer.from(`-${hex}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')]),
    () => Buffer.concat([Buffer.from(`${'f'.repeat(20)}\r\n`), bytes]),
    () => Buffer.concat([Buffer.from(`${hex}\n`), bytes, Buffer.from('\n0\n\n')]),
    () => Buffer.concat([Buffer.from(`${hex}\r\n`), bytes, Buffer.from('0\r\n\r\n')]),
    () => Buffer.concat([Buffer.from(`0\r\nUpload-Checksum: sha1\r\nUpload-Checksum: x\r\n\r\n`)]),
    () => Buffer.concat([wire.subarray(0, -2), Buffer.from(`${'a: b\r\n'.repeat(3000)}\r\n`)]),
    () => Buffer.concat([Buffer.from(`${hex};${'x'.repeat(20_000)}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')]),
  ])()
  return { headers: coding(), wire: text, isWhole: false }
}

/** Two lengths, of which a proxy might believe the other one. */
function both(bytes: Buffer, chance: Seeded): Body {
  const { wire } = chunked(bytes, chance, '')
  return { headers: [...length(bytes.length), ...coding()], wire, isWhole: false }
}

function nonsense(bytes: Buffer, chance: Seeded): Body {
  const headers = chance.pick([
    length('x'),
    length('-1'),
    length('1e3'),
    [...length(bytes.length), ...length(bytes.length + 1)],
    coding('gzip'),
    coding('chunked, chunked'),
    coding('chunked, identity'),
    coding(''),
  ])
  return { headers, wire: bytes, isWhole: false }
}

function unframed(bytes: Buffer): Body {
  return { headers: [], wire: bytes, isWhole: bytes.length === 0 }
}
