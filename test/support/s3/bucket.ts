import { createHash, randomBytes } from 'node:crypto'
import type { Blob } from './blobs.ts'
import { type Algorithm, combine } from './checksums.ts'
import { S3Error } from './error.ts'

// The rules of S3 for objects and multipart uploads; HTTP is in operations.ts.

interface Checksum {
  algorithm: Algorithm
  type: 'COMPOSITE' | 'FULL_OBJECT'
  value: string
}

export interface StoredObject {
  key: string
  size: number
  etag: string
  /** Its response headers: content-type, x-amz-meta-… */
  metadata: Record<string, string>
  blobs: Blob[]
  modified: Date
  checksum: Checksum | null
  /** The sizes of its parts; empty when it was put at once. */
  partSizes: number[]
}

interface StoredPart {
  number: number
  size: number
  etag: string
  md5: Buffer | null
  sum: { algorithm: Algorithm; sum: Buffer } | null
  blob: Blob
  modified: Date
}

interface Multipart {
  key: string
  uploadId: string
  metadata: Record<string, string>
  createdAt: Date
  algorithm: Algorithm | null
  type: 'COMPOSITE' | 'FULL_OBJECT'
  parts: Map<number, StoredPart>
}

export interface Limits {
  minPartSize: number
  maxPartSize: number
  maxParts: number
  /** R2's rule: all parts but the last have one size, and the last is not larger. */
  equalParts: boolean
}

export interface Bucket {
  objects: Map<string, StoredObject>
  multiparts: Map<string, Multipart>
  put(object: StoredObject): Promise<void>
  remove(key: string): Promise<void>
  createMultipart(
    key: string,
    metadata: Record<string, string>,
    algorithm: Algorithm | null,
    type: Multipart['type'],
  ): Multipart
  /** @throws S3Error NoSuchUpload */
  multipart(key: string, uploadId: string): Multipart
  putPart(multipart: Multipart, part: StoredPart): Promise<void>
  /** @throws S3Error MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall */
  complete(multipart: Multipart, listed: ListedPart[]): Promise<StoredObject>
  abort(multipart: Multipart): Promise<void>
}

/** A part in the list of a CompleteMultipartUpload request. */
export interface ListedPart {
  number: number
  etag: string
  checksum: { algorithm: Algorithm; value: string } | null
}

export function createBucket(limits: Limits, now: () => Date): Bucket {
  const objects = new Map<string, StoredObject>()
  const multiparts = new Map<string, Multipart>()
  const bucket: Bucket = {
    objects,
    multiparts,
    async put(object) {
      const before = objects.get(object.key)
      objects.set(object.key, object)
      await forget(before?.blobs)
    },
    async remove(key) {
      const object = objects.get(key)
      objects.delete(key)
      await forget(object?.blobs)
    },
    createMultipart(key, metadata, algorithm, type) {
      const uploadId = randomBytes(24).toString('base64url')
      const multipart: Multipart = { key, uploadId, metadata, createdAt: now(), algorithm, type, parts: new Map() }
      multiparts.set(uploadId, multipart)
      return multipart
    },
    multipart(key, uploadId) {
      const found = multiparts.get(uploadId)
      if (found?.key === key) return found
      throw new S3Error(
        'NoSuchUpload',
        'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
        { UploadId: uploadId },
      )
    },
    async putPart(multipart, part) {
      // The multipart upload may have ended while the bytes arrived.
      bucket.multipart(multipart.key, multipart.uploadId)
      const before = multipart.parts.get(part.number)
      multipart.parts.set(part.number, part)
      await forget(before && [before.blob])
    },
    async complete(multipart, listed) {
      const parts = findListed(multipart, listed, limits)
      const object = assemble(multipart, parts, now())
      multiparts.delete(multipart.uploadId)
      await bucket.put(object)
      const used = new Set(parts)
      await forget([...multipart.parts.values()].filter((part) => !used.has(part)).map((part) => part.blob))
      return object
    },
    async abort(multipart) {
      multiparts.delete(multipart.uploadId)
      await forget([...multipart.parts.values()].map((part) => part.blob))
    },
  }
  return bucket
}

async function forget(blobs: Blob[] = []): Promise<void> {
  await Promise.all(blobs.map((blob) => blob.forget()))
}

/** The stored parts that the client listed; the checks are in S3's order. */
function findListed(multipart: Multipart, listed: ListedPart[], limits: Limits): StoredPart[] {
  if (listed.length === 0) throw new S3Error('MalformedXML', 'You must specify at least one part')
  if (listed.some((each, index) => index > 0 && each.number <= (listed[index - 1]?.number ?? 0)))
    throw new S3Error(
      'InvalidPartOrder',
      'The list of parts was not in ascending order. Parts must be ordered by part number.',
    )
  const parts = listed.map((each) => {
    const part = multipart.parts.get(each.number)
    const isSame =
      part?.etag === each.etag && (!each.checksum || part.sum?.sum.toString('base64') === each.checksum.value)
    if (part && isSame) return part
    throw new S3Error(
      'InvalidPart',
      'One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part.',
      { UploadId: multipart.uploadId, PartNumber: each.number, ETag: each.etag },
    )
  })
  const before = parts.slice(0, -1)
  const small = before.find((part) => part.size < limits.minPartSize)
  if (small)
    throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
      ProposedSize: small.size,
      MinSizeAllowed: limits.minPartSize,
      PartNumber: small.number,
      ETag: small.etag,
    })
  // developers.cloudflare.com/r2/objects/multipart-objects: the last part may be smaller, never larger.
  const size = before[0]?.size ?? Number.POSITIVE_INFINITY
  if (limits.equalParts && (before.some((part) => part.size !== size) || (parts.at(-1)?.size ?? 0) > size))
    throw new S3Error('InvalidPart', 'All non-trailing parts must have the same length.')
  return parts
}

function assemble(multipart: Multipart, parts: StoredPart[], modified: Date): StoredObject {
  const { algorithm, type } = multipart
  const isSummed = algorithm !== null && parts.every((part) => part.sum?.algorithm === algorithm)
  const sums = parts.map((part) => ({ sum: part.sum?.sum ?? Buffer.alloc(0), size: part.size }))
  return {
    key: multipart.key,
    size: parts.reduce((total, part) => total + part.size, 0),
    etag: multipartEtag(parts),
    metadata: multipart.metadata,
    blobs: parts.map((part) => part.blob),
    modified,
    checksum: isSummed ? { algorithm, type, value: combine(algorithm, type, sums) } : null,
    partSizes: parts.map((part) => part.size),
  }
}

/** S3's formula: the MD5 of the parts' MD5s, and their number. */
function multipartEtag(parts: StoredPart[]): string {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part.md5 ?? randomBytes(16))
  return `"${hash.digest('hex')}-${parts.length}"`
}
