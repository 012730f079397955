import { S3Error } from './error.ts'
import type { Call } from './operations.ts'
import type { Xml } from './xml.ts'

// S3 lists in the order of the keys' UTF-8 bytes, up to 1000 a page.

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function pageSize(call: Call, name: string): number {
  const size = Number(call.query.get(name) ?? 1000)
  if (Number.isInteger(size) && size >= 0) return Math.min(1000, size)
  throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`)
}

/** The body of ListParts. */
export function listParts(call: Call): Xml {
  const multipart = call.bucket.multipart(call.key, call.query.get('uploadId') ?? '')
  const marker = Number(call.query.get('part-number-marker') ?? 0)
  const size = pageSize(call, 'max-parts')
  const rest = [...multipart.parts.values()].filter((part) => part.number > marker).sort((a, b) => a.number - b.number)
  const page = rest.slice(0, size)
  return {
    Bucket: call.bucketName,
    Key: call.key,
    UploadId: multipart.uploadId,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? 0,
    MaxParts: size,
    IsTruncated: rest.length > page.length,
    Part: page.map((part) => ({
      PartNumber: part.number,
      LastModified: part.modified.toISOString(),
      ETag: part.etag,
      Size: part.size,
      ...(part.sum && { [`Checksum${part.sum.algorithm.toUpperCase()}`]: part.sum.sum.toString('base64') }),
    })),
  }
}

/** The body of ListMultipartUploads: by key, then by age. */
export function listMultiparts(call: Call): Xml {
  const prefix = call.query.get('prefix') ?? ''
  const keyMarker = call.query.get('key-marker') ?? ''
  const idMarker = call.query.get('upload-id-marker') ?? ''
  const size = pageSize(call, 'max-uploads')
  const all = [...call.bucket.multiparts.values()]
    .filter((each) => each.key.startsWith(prefix))
    .sort(
      (a, b) =>
        byBytes(a.key, b.key) || a.createdAt.getTime() - b.createdAt.getTime() || byBytes(a.uploadId, b.uploadId),
    )
  const markerIndex =
    idMarker === '' ? -1 : all.findIndex((each) => each.key === keyMarker && each.uploadId === idMarker)
  const rest =
    markerIndex >= 0
      ? all.slice(markerIndex + 1)
      : all.filter((each) => keyMarker === '' || byBytes(each.key, keyMarker) > 0)
  const page = rest.slice(0, size)
  const last = page.at(-1)
  const isTruncated = rest.length > page.length
  return {
    Bucket: call.bucketName,
    Prefix: prefix,
    KeyMarker: keyMarker,
    UploadIdMarker: idMarker,
    NextKeyMarker: isTruncated ? last?.key : undefined,
    NextUploadIdMarker: isTruncated ? last?.uploadId : undefined,
    MaxUploads: size,
    IsTruncated: isTruncated,
    Upload: page.map((each) => ({ Key: each.key, UploadId: each.uploadId, Initiated: each.createdAt.toISOString() })),
  }
}

/** The body of ListObjectsV2, with prefix, delimiter, start-after and paging. */
export function listObjects(call: Call): Xml {
  const prefix = call.query.get('prefix') ?? ''
  const delimiter = call.query.get('delimiter') ?? ''
  const token = call.query.get('continuation-token')
  const after = token === undefined ? (call.query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString()
  const size = pageSize(call, 'max-keys')
  const encodeKey = call.query.get('encoding-type') === 'url' ? encodeURIComponent : (text: string) => text
  const entries = new Map<string, Xml>()
  const folders = new Set<string>()
  for (const object of [...call.bucket.objects.values()].sort((a, b) => byBytes(a.key, b.key))) {
    if (!object.key.startsWith(prefix)) continue
    const delimiterAt = delimiter === '' ? -1 : object.key.indexOf(delimiter, prefix.length)
    const name = delimiterAt < 0 ? object.key : object.key.slice(0, delimiterAt + delimiter.length)
    if (after !== '' && byBytes(name, after) <= 0) continue
    if (delimiterAt >= 0) folders.add(name)
    const { etag, size: bytes, modified } = object
    entries.set(name, {
      Key: encodeKey(name),
      LastModified: modified.toISOString(),
      ETag: etag,
      Size: bytes,
      StorageClass: 'STANDARD',
    })
  }
  const page = [...entries.keys()].slice(0, size)
  const isTruncated = entries.size > page.length
  return {
    Name: call.bucketName,
    Prefix: encodeKey(prefix),
    Delimiter: delimiter === '' ? undefined : encodeKey(delimiter),
    EncodingType: call.query.get('encoding-type'),
    MaxKeys: size,
    KeyCount: page.length,
    IsTruncated: isTruncated,
    ContinuationToken: token,
    NextContinuationToken: isTruncated ? Buffer.from(page.at(-1) ?? '').toString('base64url') : undefined,
    Contents: page.filter((name) => !folders.has(name)).map((name) => entries.get(name)),
    CommonPrefixes: page.filter((name) => folders.has(name)).map((name) => ({ Prefix: encodeKey(name) })),
  }
}
