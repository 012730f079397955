import type { Seeded } from '../../test/support/seeded.ts'
import type { RequestSpec } from './request.ts'

/** A request as the bytes that are sent. */
export interface FramedRequest {
  method: string
  path: string
  wire: Buffer
  /** Whether the server can see where the request ends. Otherwise it waits for more, or reads the rest as another request. */
  isComplete: boolean
  /** Whether the server may close the connection without an answer, as RUFH allows when the client can resume. */
  mayBeSilent: boolean
}

interface Body {
  headers: [string, string][]
  wire: Buffer
  isComplete: boolean
}

/** Frames a request as HTTP, sometimes malformed. */
export function frame(spec: RequestSpec, random: Seeded, isLast: boolean): FramedRequest {
  const { method, path } = spec
  const { headers, wire, isComplete } = frameBody(spec, random)
  const names = new Set(spec.headers.map(([name]) => name.toLowerCase()))
  const version = random.chance(0.97) ? '1.1' : random.pick(['1.0', '1.0', '0.9', '2.0', '1.2', 'x'])
  const all: [string, string][] = [...spec.headers, ...headers]
  if (!names.has('host') && random.chance(0.995)) all.unshift(['host', 'files.example'])
  if (isLast && !names.has('connection') && random.chance(0.8)) all.push(['connection', 'close'])
  const end = random.chance(0.995) ? '\r\n' : random.pick(['\n', '\r\n ', '\r'])
  const lines = [`${method} ${path} HTTP/${version}`, ...all.map(([name, value]) => `${name}: ${value}`)]
  const head = Buffer.from(lines.join(end) + end + end, 'latin1')
  const isTus = spec.headers.some(([name, value]) => name.toLowerCase() === 'tus-resumable' && value === '1.0.0')
  return {
    method,
    path,
    wire: Buffer.concat([head, wire]),
    isComplete: isComplete && end === '\r\n' && version === '1.1',
    mayBeSilent: path.includes('files') && !isTus,
  }
}

function frameBody({ bytes, trailer }: RequestSpec, random: Seeded): Body {
  if (trailer !== undefined && random.chance(0.9)) return chunked(bytes ?? Buffer.alloc(0), random, `${trailer}\r\n`)
  const dice = random.next()
  if (bytes === null) {
    if (dice < 0.97) return { headers: [], wire: Buffer.alloc(0), isComplete: true }
    return random.pick([tooShort, invalid])(random.bytes(5), random)
  }
  if (dice < 0.75) return { headers: length(bytes.length), wire: bytes, isComplete: true }
  if (dice < 0.87) return chunked(bytes, random, '')
  return random.pick([tooShort, tooLong, malformed, malformed, bothFramings, invalid, unframed])(bytes, random)
}

const length = (count: number | string): [string, string][] => [['content-length', String(count)]]
const coding = (value = 'chunked'): [string, string][] => [['transfer-encoding', value]]

function chunked(bytes: Buffer, random: Seeded, trailer: string): Body {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = Math.min(bytes.length - at, random.pick([1, 7, 1000, 16_384, bytes.length]))
    const sizeLine = random.chance(0.1) ? `000${size.toString(16).toUpperCase()};name="value"` : size.toString(16)
    chunks.push(Buffer.from(`${sizeLine}\r\n`), bytes.subarray(at, at + size), Buffer.from('\r\n'))
    at += size
    // Dozens of chunks test as much as thousands.
    if (chunks.length > 100) {
      chunks.push(Buffer.from(`${(bytes.length - at).toString(16)}\r\n`), bytes.subarray(at), Buffer.from('\r\n'))
      if (at === bytes.length) chunks.splice(-3)
      break
    }
  }
  return { headers: coding(), wire: Buffer.concat([...chunks, Buffer.from(`0\r\n${trailer}\r\n`)]), isComplete: true }
}

/** Content-Length is larger than the body. */
function tooShort(bytes: Buffer, random: Seeded): Body {
  return { headers: length(bytes.length + random.pick([1, 10, 100_000, 2 ** 40])), wire: bytes, isComplete: false }
}

/** Content-Length is smaller than the body: the server reads the rest as another request. */
function tooLong(bytes: Buffer, random: Seeded): Body {
  return { headers: length(Math.max(0, bytes.length - random.int(1, 10))), wire: bytes, isComplete: bytes.length === 0 }
}

function malformed(bytes: Buffer, random: Seeded): Body {
  const { wire } = chunked(bytes, random, '')
  const hex = bytes.length.toString(16)
  const text = random.pick<() => Buffer>([
    () => wire.subarray(0, wire.length - random.int(1, Math.min(7, wire.length))),
    () => Buffer.concat([Buffer.from('zz\r\n'), bytes]),
    () => Buffer.concat([Buffer.from(`-${hex}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')]),
    () => Buffer.concat([Buffer.from(`${'f'.repeat(20)}\r\n`), bytes]),
    () => Buffer.concat([Buffer.from(`${hex}\n`), bytes, Buffer.from('\n0\n\n')]),
    () => Buffer.concat([Buffer.from(`${hex}\r\n`), bytes, Buffer.from('0\r\n\r\n')]),
    () => Buffer.concat([Buffer.from(`0\r\nUpload-Checksum: sha1\r\nUpload-Checksum: x\r\n\r\n`)]),
    () => Buffer.concat([wire.subarray(0, -2), Buffer.from(`${'a: b\r\n'.repeat(3000)}\r\n`)]),
    () => Buffer.concat([Buffer.from(`${hex};${'x'.repeat(20_000)}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')]),
  ])()
  return { headers: coding(), wire: text, isComplete: false }
}

/** Content-Length and Transfer-Encoding together: a proxy may follow the other one than the server does. */
function bothFramings(bytes: Buffer, random: Seeded): Body {
  const { wire } = chunked(bytes, random, '')
  return { headers: [...length(bytes.length), ...coding()], wire, isComplete: false }
}

function invalid(bytes: Buffer, random: Seeded): Body {
  const headers = random.pick([
    length('x'),
    length('-1'),
    length('1e3'),
    [...length(bytes.length), ...length(bytes.length + 1)],
    coding('gzip'),
    coding('chunked, chunked'),
    coding('chunked, identity'),
    coding(''),
  ])
  return { headers, wire: bytes, isComplete: false }
}

function unframed(bytes: Buffer): Body {
  return { headers: [], wire: bytes, isComplete: bytes.length === 0 }
}
