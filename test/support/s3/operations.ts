import type { Blob } from './blobs.ts'
import type { Bucket, Limits, ListedPart, StoredObject } from './bucket.ts'
import { type Algorithm, algorithms, isAlgorithm } from './checksums.ts'
import { S3Error } from './error.ts'
import { listMultiparts, listObjects, listParts } from './listings.ts'
import type { Received } from './payload.ts'
import { checksumHeaders, describe, existing, readObject } from './reading.ts'
import { contentsOf, element, textOf } from './xml.ts'

/** One request with a verified signature. */
export interface Call {
  bucket: Bucket
  bucketName: string
  limits: Limits
  versioned: boolean
  key: string
  query: Map<string, string>
  header: (name: string) => string | undefined
  /** Stores the body. */
  store(isPart: boolean): Promise<Received & { etag: string; blob: Blob }>
  /** Reads the body as text. */
  text(): Promise<string>
  /** The `x-amz-meta-` headers. */
  metadata: Record<string, string>
  /** The headers of every object that the bucket encrypts with a key of its own. */
  encryption: Record<string, string>
  /** Stores bytes of an existing object; for a part also with the checksum of its multipart upload. */
  copy(
    source: StoredObject,
    start: number,
    end: number,
    part?: { algorithm: Algorithm | null },
  ): Promise<Received & { etag: string; blob: Blob }>
  now: Date
}

export interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string | AsyncIterable<Buffer> | Iterable<Buffer>
}

type Operation = (call: Call) => Promise<Answer>

/** The name of a request in S3's documentation, by which it is counted and matched with faults. */
export function nameOperation(method: string, key: string, query: Map<string, string>, isCopy: boolean): string {
  const has = (name: string): boolean => query.has(name)
  if (key === '') {
    if (method === 'HEAD') return 'HeadBucket'
    if (method === 'PUT' && query.size === 0) return 'CreateBucket'
    if (method === 'GET' && has('versioning')) return 'GetBucketVersioning'
    if (method === 'GET' && has('uploads')) return 'ListMultipartUploads'
    if (method === 'GET' && query.get('list-type') === '2') return 'ListObjectsV2'
    if (method === 'POST' && has('delete')) return 'DeleteObjects'
    return 'Unknown'
  }
  if (method === 'HEAD') return 'HeadObject'
  if (method === 'POST' && has('uploads')) return 'CreateMultipartUpload'
  if (method === 'POST' && has('uploadId')) return 'CompleteMultipartUpload'
  if (method === 'PUT' && has('partNumber')) return isCopy ? 'UploadPartCopy' : 'UploadPart'
  if (method === 'GET' && has('uploadId')) return 'ListParts'
  if (method === 'DELETE') return has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
  if (['tagging', 'acl', 'versions', 'retention'].some(has)) return 'Unknown'
  if (method === 'GET') return 'GetObject'
  if (method === 'PUT') return isCopy ? 'CopyObject' : 'PutObject'
  return 'Unknown'
}

/** The operations by name. A missing name is answered with NotImplemented. */
export const operations: Record<string, Operation | undefined> = {
  HeadBucket: async () => ({ status: 200 }),

  GetBucketVersioning: async ({ versioned }) => ({
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<VersioningConfiguration>${versioned ? '<Status>Enabled</Status>' : ''}</VersioningConfiguration>`,
  }),

  CreateBucket: async () => {
    throw new S3Error('BucketAlreadyOwnedByYou', 'Your previous request to create the named bucket succeeded.')
  },

  PutObject: async (call) => {
    checkKey(call.key)
    checkConditions(call)
    const { size, etag, blob, checksum } = await call.store(false)
    checkConditions(call)
    const sum = checksum && {
      algorithm: checksum.algorithm,
      type: 'FULL_OBJECT' as const,
      value: checksum.sum.toString('base64'),
    }
    const metadata = metadataOf(call)
    await call.bucket.put({
      key: call.key,
      size,
      etag,
      metadata,
      blobs: [blob],
      modified: call.now,
      checksum: sum,
      partSizes: [],
    })
    return { status: 200, headers: { etag, ...checksumHeaders(sum) } }
  },

  HeadObject: async (call) => {
    const object = existing(call)
    const { status, headers } = describe(call, object)
    return { status, headers }
  },

  GetObject: async (call) => {
    const object = existing(call)
    const { status, headers, start, end } = describe(call, object)
    return { status, headers, body: readObject(object, start, end) }
  },

  DeleteObject: async (call) => {
    await call.bucket.remove(call.key)
    return { status: 204 }
  },

  DeleteObjects: async (call) => {
    if (
      ![...algorithms.map((name) => `x-amz-checksum-${name}`), 'x-amz-trailer', 'content-md5'].some((name) =>
        call.header(name),
      )
    )
      throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5')
    const text = await call.text()
    const keys = contentsOf(text, 'Object').map((object) => textOf(object, 'Key') ?? '')
    if (keys.length === 0 || keys.length > 1000)
      throw new S3Error(
        'MalformedXML',
        'The XML you provided was not well-formed or did not validate against our schema',
      )
    for (const key of keys) await call.bucket.remove(key)
    const isQuiet = textOf(text, 'Quiet') === 'true'
    return xml('DeleteResult', isQuiet ? {} : { Deleted: keys.map((Key) => ({ Key })) })
  },

  CopyObject: async (call) => {
    checkKey(call.key)
    checkConditions(call)
    const source = copySource(call)
    const { etag, size, blob } = await call.copy(source, 0, source.size)
    const metadata = call.header('x-amz-metadata-directive') === 'REPLACE' ? metadataOf(call) : source.metadata
    await call.bucket.put({
      key: call.key,
      size,
      etag,
      metadata,
      blobs: [blob],
      modified: call.now,
      checksum: null,
      partSizes: [],
    })
    return xml('CopyObjectResult', { ETag: etag, LastModified: call.now.toISOString() })
  },

  CreateMultipartUpload: async (call) => {
    checkKey(call.key)
    const algorithm = call.header('x-amz-checksum-algorithm')?.toLowerCase() ?? null
    if (algorithm !== null && !isAlgorithm(algorithm))
      throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported.')
    const defaultType = algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE'
    const type = call.header('x-amz-checksum-type') === 'FULL_OBJECT' ? 'FULL_OBJECT' : defaultType
    const { uploadId } = call.bucket.createMultipart(call.key, metadataOf(call), algorithm, type)
    const headers: Record<string, string> = algorithm
      ? { 'x-amz-checksum-algorithm': algorithm.toUpperCase(), 'x-amz-checksum-type': type }
      : {}
    return xml('InitiateMultipartUploadResult', { Bucket: call.bucketName, Key: call.key, UploadId: uploadId }, headers)
  },

  UploadPart: async (call) => {
    const number = partNumber(call)
    const multipart = call.bucket.multipart(call.key, call.query.get('uploadId') ?? '')
    const { size, etag, md5, checksum, blob } = await call.store(true)
    const hasExpectedChecksum = checksum ? checksum.algorithm === multipart.algorithm : multipart.type === 'FULL_OBJECT'
    if (multipart.algorithm && !hasExpectedChecksum)
      throw new S3Error(
        'InvalidRequest',
        `Checksum Type mismatch occurred, expected checksum Type: ${multipart.algorithm}, actual checksum Type: ${checksum?.algorithm ?? null}`,
      )
    await call.bucket.putPart(multipart, { number, size, etag, md5, sum: checksum, blob, modified: call.now })
    return {
      status: 200,
      headers: { etag, ...(checksum && { [`x-amz-checksum-${checksum.algorithm}`]: checksum.sum.toString('base64') }) },
    }
  },

  UploadPartCopy: async (call) => {
    const number = partNumber(call)
    const multipart = call.bucket.multipart(call.key, call.query.get('uploadId') ?? '')
    const source = copySource(call)
    const { start, end } = copyRange(call, source)
    const { etag, md5, size, blob, checksum } = await call.copy(source, start, end, { algorithm: multipart.algorithm })
    await call.bucket.putPart(multipart, { number, size, etag, md5, sum: checksum, blob, modified: call.now })
    return xml('CopyPartResult', { ETag: etag, LastModified: call.now.toISOString() })
  },

  CompleteMultipartUpload: async (call) => {
    const text = await call.text()
    const multipart = call.bucket.multipart(call.key, call.query.get('uploadId') ?? '')
    checkConditions(call)
    const object = await call.bucket.complete(multipart, contentsOf(text, 'Part').map(listedPartOf))
    return xml('CompleteMultipartUploadResult', {
      Bucket: call.bucketName,
      Key: call.key,
      ETag: object.etag,
      ...(object.checksum && {
        [`Checksum${object.checksum.algorithm.toUpperCase()}`]: object.checksum.value,
        ChecksumType: object.checksum.type,
      }),
    })
  },

  AbortMultipartUpload: async (call) => {
    await call.bucket.abort(call.bucket.multipart(call.key, call.query.get('uploadId') ?? ''))
    return { status: 204 }
  },

  ListParts: async (call) => xml('ListPartsResult', listParts(call)),
  ListMultipartUploads: async (call) => xml('ListMultipartUploadsResult', listMultiparts(call)),
  ListObjectsV2: async (call) => xml('ListBucketResult', listObjects(call)),
}

function xml(name: string, value: Parameters<typeof element>[1], headers: Record<string, string> = {}): Answer {
  return { status: 200, headers: { 'content-type': 'application/xml', ...headers }, body: element(name, value) }
}

function checkKey(key: string): void {
  if (Buffer.byteLength(key) > 1024) throw new S3Error('KeyTooLongError', 'Your key is too long')
}

// `If-None-Match: *` requires that there is no object, `If-Match` that the object has this ETag.
function checkConditions(call: Call): void {
  const existing = call.bucket.objects.get(call.key)
  const fail = (condition: string): never => {
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
      Condition: condition,
    })
  }
  if (call.header('if-none-match') === '*' && existing) fail('If-None-Match')
  const match = call.header('if-match')
  if (match !== undefined && existing?.etag !== match) fail('If-Match')
}

function metadataOf(call: Call): Record<string, string> {
  const metadata: Record<string, string> = { 'content-type': call.header('content-type') ?? 'binary/octet-stream' }
  for (const name of ['cache-control', 'content-disposition', 'content-language', 'expires']) {
    const value = call.header(name)
    if (value !== undefined) metadata[name] = value
  }
  const encoding = call
    .header('content-encoding')
    ?.split(',')
    .map((each) => each.trim())
  const kept = encoding?.filter((each) => each !== 'aws-chunked' && each !== '').join(', ')
  if (kept) metadata['content-encoding'] = kept
  const size = Object.entries(call.metadata).reduce(
    (total, [name, value]) => total + name.length - 11 + value.length,
    0,
  )
  if (size > 2048)
    throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size')
  return { ...metadata, ...call.metadata, ...call.encryption }
}

function copySource(call: Call): StoredObject {
  const source = decodeURIComponent((call.header('x-amz-copy-source') ?? '').replace(/\?versionId=.*$/, '')).replace(
    /^\//,
    '',
  )
  const slash = source.indexOf('/')
  if (source.slice(0, slash) !== call.bucketName)
    throw new S3Error('NoSuchBucket', 'The specified bucket does not exist')
  const object = call.bucket.objects.get(source.slice(slash + 1))
  if (!object) throw new S3Error('NoSuchKey', 'The specified key does not exist.', { Key: source.slice(slash + 1) })
  return object
}

function copyRange(call: Call, source: StoredObject): { start: number; end: number } {
  const text = call.header('x-amz-copy-source-range')
  if (text === undefined) return { start: 0, end: source.size }
  const found = /^bytes=(\d+)-(\d+)$/.exec(text)
  if (!found)
    throw new S3Error('InvalidArgument', 'The x-amz-copy-source-range value must be of the form bytes=first-last')
  const [start, end] = [Number(found[1]), Number(found[2]) + 1]
  if (start >= end || end > source.size)
    throw new S3Error('InvalidArgument', `Range specified is not valid for source object of size: ${source.size}`)
  // "You can copy a range only if the source object is greater than 5 MB": API_UploadPartCopy
  if (source.size < call.limits.minPartSize)
    throw new S3Error('InvalidRequest', 'The specified copy source is not supported as a byte-range copy source')
  return { start, end }
}

function partNumber(call: Call): number {
  const number = Number(call.query.get('partNumber'))
  if (Number.isInteger(number) && number >= 1 && number <= call.limits.maxParts) return number
  throw new S3Error(
    'InvalidArgument',
    `Part number must be an integer between 1 and ${call.limits.maxParts}, inclusive`,
  )
}

function listedPartOf(text: string): ListedPart {
  const number = Number(textOf(text, 'PartNumber'))
  const etag = textOf(text, 'ETag')
  if (!Number.isInteger(number) || etag === undefined)
    throw new S3Error('MalformedXML', 'The XML you provided was not well-formed or did not validate against our schema')
  const algorithm = algorithms.find((name) => textOf(text, `Checksum${name.toUpperCase()}`) !== undefined)
  const value = algorithm && textOf(text, `Checksum${algorithm.toUpperCase()}`)
  return {
    number,
    etag: `"${etag.replaceAll('"', '')}"`,
    checksum: algorithm && value !== undefined ? { algorithm, value } : null,
  }
}
