import type { StoredObject } from './bucket.ts'
import { S3Error } from './error.ts'
import type { Call } from './operations.ts'

/** @throws S3Error NoSuchKey */
export function existing(call: Call): StoredObject {
  const object = call.bucket.objects.get(call.key)
  if (!object) throw new S3Error('NoSuchKey', 'The specified key does not exist.', { Key: call.key })
  return object
}

/** The response to a read: status, headers and range, by the conditions and overrides of the request. */
export function describe(
  call: Call,
  object: StoredObject,
): { status: number; headers: Record<string, string>; start: number; end: number } {
  const match = call.header('if-match')
  if (match !== undefined && match !== object.etag && match !== '*')
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
  if (call.header('if-none-match') === object.etag) throw new S3Error('NotModified', 'Not Modified')
  const range = parseRange(call.header('range'), object.size)
  const { start, end } = range ?? { start: 0, end: object.size }
  const isWhole = range === null
  const wantsChecksum = isWhole && call.header('x-amz-checksum-mode') === 'ENABLED'
  const headers: Record<string, string> = {
    ...object.metadata,
    ...overrides(call),
    'accept-ranges': 'bytes',
    'content-length': String(end - start),
    etag: object.etag,
    'last-modified': object.modified.toUTCString(),
    ...(wantsChecksum ? checksumHeaders(object.checksum) : {}),
    ...(isWhole ? {} : { 'content-range': `bytes ${start}-${end - 1}/${object.size}` }),
  }
  return { status: isWhole ? 200 : 206, headers, start, end }
}

function overrides(call: Call): Record<string, string> {
  const prefix = 'response-'
  return Object.fromEntries(
    [...call.query]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  )
}

/** One range, `end` exclusive; `null` for the whole object, also for a header that S3 does not understand. */
function parseRange(text: string | undefined, size: number): { start: number; end: number } | null {
  const found = /^bytes=(\d*)-(\d*)$/.exec(text ?? '')
  if (!found || (found[1] === '' && found[2] === '')) return null
  const isSuffix = found[1] === ''
  const start = isSuffix ? Math.max(0, size - Number(found[2])) : Number(found[1])
  const end = isSuffix || found[2] === '' ? size : Math.min(size, Number(found[2]) + 1)
  if (start < end) return { start, end }
  throw new S3Error('InvalidRange', 'The requested range is not satisfiable', { ActualObjectSize: size })
}

/** The bytes of `object` from `start` to `end`, across its parts. */
export async function* readObject(object: StoredObject, start: number, end: number): AsyncGenerator<Buffer> {
  let position = 0
  for (const blob of object.blobs) {
    const from = Math.max(0, start - position)
    const to = Math.min(blob.size, end - position)
    if (from < to) yield* blob.read(from, to)
    position += blob.size
  }
}

export function checksumHeaders(checksum: StoredObject['checksum']): Record<string, string> {
  if (!checksum) return {}
  return { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value, 'x-amz-checksum-type': checksum.type }
}
