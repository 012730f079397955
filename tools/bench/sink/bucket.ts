import type { Answer, Exchange, Head } from './wire.ts'

export interface Counts {
  requests: Record<string, number>
  /** Bytes of bodies as received, with chunk framing. */
  bytes: number
}

interface StoredObject {
  size: number
  /** Only small objects keep their bytes. */
  body: Buffer | null
  meta: Record<string, string>
}

const maxKeptSize = 64 * 1024
const xml = { 'content-type': 'application/xml' }

/** A bucket that accepts every request, keeps sizes and counts requests. It validates nothing. */
export function createBucket(): { open(head: Head): Exchange; counts: Counts } {
  const objects = new Map<string, StoredObject>()
  const multiparts = new Map<string, { key: string; parts: Map<number, number> }>()
  const counts: Counts = { requests: {}, bytes: 0 }
  let serial = 0

  function open({ method, target, headers }: Head): Exchange {
    const [path = '', search = ''] = target.split('?')
    const key = decodeURIComponent(path.split('/').slice(2).join('/'))
    const query = new URLSearchParams(search)
    const isSmall = Number(headers['x-amz-decoded-content-length'] ?? headers['content-length'] ?? 0) <= maxKeptSize
    const operation = nameOf(method, key, query, headers)
    counts.requests[operation] = (counts.requests[operation] ?? 0) + 1
    return {
      wantsBody: method === 'POST' || (isSmall && !query.has('partNumber')),
      answer(raw, wireSize) {
        counts.bytes += wireSize
        const body = headers['content-encoding']?.includes('aws-chunked') ? unwrap(raw) : raw
        const size = Number(headers['x-amz-decoded-content-length'] ?? headers['content-length'] ?? wireSize)
        return answers[operation]!({ key, query, headers, body, size, isSmall })
      },
    }
  }

  interface Call {
    key: string
    query: URLSearchParams
    headers: Record<string, string>
    body: Buffer
    size: number
    isSmall: boolean
  }

  function newEtag(): string {
    serial += 1
    return `"sink-${serial}"`
  }

  function errorAnswer(status: number, code: string): Answer {
    return { status, headers: xml, body: `<Error><Code>${code}</Code><Message>${code}</Message></Error>` }
  }

  function getObject({ key, headers }: Call, isHead: boolean): Answer {
    const object = objects.get(key)
    if (!object) return isHead ? { status: 404 } : errorAnswer(404, 'NoSuchKey')
    const [, from, to] = /bytes=(\d+)-(\d*)/.exec(headers['range'] ?? '') ?? []
    const start = Number(from ?? 0)
    const end = to ? Math.min(Number(to) + 1, object.size) : object.size
    const body = object.body ? object.body.subarray(start, end) : end - start
    const range = from === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${object.size}` }
    return {
      status: from === undefined ? 200 : 206,
      headers: { etag: '"sink"', ...object.meta, ...range },
      body,
      isHead,
    }
  }

  const answers: Record<string, (call: Call) => Answer> = {
    HeadBucket: () => ({ status: 200 }),
    PutObject({ key, headers, body, size, isSmall }) {
      const meta = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-')))
      objects.set(key, { size, body: isSmall ? body : null, meta })
      return { status: 200, headers: { etag: newEtag() } }
    },
    GetObject: (call) => getObject(call, false),
    HeadObject: (call) => getObject(call, true),
    DeleteObject({ key }) {
      objects.delete(key)
      return { status: 204 }
    },
    DeleteObjects({ body }) {
      for (const [, key] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) objects.delete(key!)
      return { status: 200, headers: xml, body: '<DeleteResult/>' }
    },
    CreateMultipartUpload({ key }) {
      serial += 1
      multiparts.set(`m${serial}`, { key, parts: new Map() })
      const body = `<InitiateMultipartUploadResult><UploadId>m${serial}</UploadId></InitiateMultipartUploadResult>`
      return { status: 200, headers: xml, body }
    },
    UploadPart({ query, size }) {
      const multipart = multiparts.get(query.get('uploadId') ?? '')
      if (!multipart) return errorAnswer(404, 'NoSuchUpload')
      multipart.parts.set(Number(query.get('partNumber')), size)
      return { status: 200, headers: { etag: newEtag() } }
    },
    UploadPartCopy({ query, headers }) {
      const multipart = multiparts.get(query.get('uploadId') ?? '')
      if (!multipart) return errorAnswer(404, 'NoSuchUpload')
      const [, from = 0, to = -1] = /(\d+)-(\d+)/.exec(headers['x-amz-copy-source-range'] ?? '') ?? []
      multipart.parts.set(Number(query.get('partNumber')), Number(to) + 1 - Number(from))
      return { status: 200, headers: xml, body: `<CopyPartResult><ETag>${newEtag()}</ETag></CopyPartResult>` }
    },
    CompleteMultipartUpload({ key, query }) {
      const multipart = multiparts.get(query.get('uploadId') ?? '')
      if (!multipart) return errorAnswer(404, 'NoSuchUpload')
      multiparts.delete(query.get('uploadId')!)
      objects.set(key, { size: sum(multipart.parts.values()), body: null, meta: {} })
      const body = `<CompleteMultipartUploadResult><ETag>"sink"</ETag></CompleteMultipartUploadResult>`
      return { status: 200, headers: xml, body }
    },
    AbortMultipartUpload({ query }) {
      multiparts.delete(query.get('uploadId') ?? '')
      return { status: 204 }
    },
    ListParts({ query }) {
      const multipart = multiparts.get(query.get('uploadId') ?? '')
      if (!multipart) return errorAnswer(404, 'NoSuchUpload')
      const parts = [...multipart.parts].sort(([a], [b]) => a - b)
      const listed = parts.map(
        ([number, size]) => `<Part><PartNumber>${number}</PartNumber><ETag>"sink"</ETag><Size>${size}</Size></Part>`,
      )
      const body = `<ListPartsResult><IsTruncated>false</IsTruncated>${listed.join('')}</ListPartsResult>`
      return { status: 200, headers: xml, body }
    },
    ListMultipartUploads: () => ({ status: 200, headers: xml, body: '<ListMultipartUploadsResult/>' }),
    ListObjectsV2: () => ({ status: 200, headers: xml, body: '<ListBucketResult/>' }),
  }

  return { open, counts }
}

function nameOf(method: string, key: string, query: URLSearchParams, headers: Record<string, string>): string {
  if (method === 'POST' && query.has('uploads')) return 'CreateMultipartUpload'
  if (method === 'POST') return query.has('delete') ? 'DeleteObjects' : 'CompleteMultipartUpload'
  if (method === 'PUT' && query.has('partNumber'))
    return headers['x-amz-copy-source'] === undefined ? 'UploadPart' : 'UploadPartCopy'
  if (method === 'PUT') return 'PutObject'
  if (method === 'DELETE') return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
  if (method === 'HEAD') return key === '' ? 'HeadBucket' : 'HeadObject'
  if (query.has('uploadId')) return 'ListParts'
  if (query.has('uploads')) return 'ListMultipartUploads'
  return key === '' ? 'ListObjectsV2' : 'GetObject'
}

/** Removes the `aws-chunked` framing from a small body. */
function unwrap(raw: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const end = raw.indexOf('\r\n', at)
    const size = Number.parseInt(raw.toString('latin1', at, end), 16)
    if (end < 0 || !(size > 0)) return Buffer.concat(parts)
    parts.push(raw.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}

function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
