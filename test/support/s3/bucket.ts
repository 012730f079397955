import { createHash, randomBytes } from 'node:crypto'
import type { Blob } from './blobs.ts'
import { type Algorithm, combine } from './checksums.ts'
import { S3Refusal } from './refusal.ts'

// What S3 answers multipart uploads with is here; what is only HTTP is in operations.ts.

interface Checksum {
  algorithm: Algorithm
  type: 'COMPOSITE' | 'FULL_OBJECT'
  value: string
}

export interface StoredObject {
  key: string
  size: number
  etag: string
  /** The headers it is answered with: content-type, x-amz-meta-… */
  about: Record<string, string>
  blobs: Blob[]
  modified: Date
  checksum: Checksum | null
  /** Sizes of the parts it was made of; empty when it was put whole. */
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
  about: Record<string, string>
  begun: Date
  algorithm: Algorithm | null
  type: 'COMPOSITE' | 'FULL_OBJECT'
  parts: Map<number, StoredPart>
}

export interface Limits {
  minPartSize: number
  maxPartSize: number
  maxParts: number
  /** R2: all parts but the last have one size, and the last is not larger. */
  equalParts: boolean
}

export interface Bucket {
  objects: Map<string, StoredObject>
  multiparts: Map<string, Multipart>
  put(object: StoredObject): Promise<void>
  remove(key: string): Promise<void>
  begin(key: string, about: Record<string, string>, algorithm: Algorithm | null, type: Multipart['type']): Multipart
  /** @throws Refusal NoSuchUpload */
  multipart(key: string, uploadId: string): Multipart
  putPart(multipart: Multipart, part: StoredPart): Promise<void>
  /** @throws Refusal MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall */
  complete(multipart: Multipart, claims: PartClaim[]): Promise<StoredObject>
  abort(multipart: Multipart): Promise<void>
}

/** What a client says of a part when it completes. */
export interface PartClaim {
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
    begin(key, about, algorithm, type) {
      const uploadId = randomBytes(24).toString('base64url')
      const multipart: Multipart = { key, uploadId, about, begun: now(), algorithm, type, parts: new Map() }
      multiparts.set(uploadId, multipart)
      return multipart
    },
    multipart(key, uploadId) {
      const found = multiparts.get(uploadId)
      if (found?.key === key) return found
      throw new S3Refusal(
        'NoSuchUpload',
        'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
        { UploadId: uploadId },
      )
    },
    async putPart(multipart, part) {
      // The upload may have ended while the bytes were on their way.
      bucket.multipart(multipart.key, multipart.uploadId)
      const before = multipart.parts.get(part.number)
      multipart.parts.set(part.number, part)
      await forget(before && [before.blob])
    },
    async complete(multipart, claims) {
      const parts = claimed(multipart, claims, limits)
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

/** The parts a client lists, in the order of S3's own checks. */
function claimed(multipart: Multipart, claims: PartClaim[], limits: Limits): StoredPart[] {
  if (claims.length === 0) throw new S3Refusal('MalformedXML', 'You must specify at least one part')
  if (claims.some((claim, index) => index > 0 && claim.number <= (claims[index - 1]?.number ?? 0)))
    throw new S3Refusal(
      'InvalidPartOrder',
      'The list of parts was not in ascending order. Parts must be ordered by part number.',
    )
  const parts = claims.map((claim) => {
    const part = multipart.parts.get(claim.number)
    const isSame =
      part?.etag === claim.etag && (!claim.checksum || part.sum?.sum.toString('base64') === claim.checksum.value)
    if (part && isSame) return part
    throw new S3Refusal(
      'InvalidPart',
      'One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part.',
      { UploadId: multipart.uploadId, PartNumber: claim.number, ETag: claim.etag },
    )
  })
  const before = parts.slice(0, -1)
  const small = before.find((part) => part.size < limits.minPartSize)
  if (small)
    throw new S3Refusal('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
      ProposedSize: small.size,
      MinSizeAllowed: limits.minPartSize,
      PartNumber: small.number,
      ETag: small.etag,
    })
  // developers.cloudflare.com/r2/objects/multipart-objects: the last part may be smaller, never larger.
  const size = before[0]?.size ?? Number.POSITIVE_INFINITY
  if (limits.equalParts && (before.some((part) => part.size !== size) || (parts.at(-1)?.size ?? 0) > size))
    throw new S3Refusal('InvalidPart', 'All non-trailing parts must have the same length.')
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
    about: multipart.about,
    blobs: parts.map((part) => part.blob),
    modified,
    checksum: isSummed ? { algorithm, type, value: combine(algorithm, type, sums) } : null,
    partSizes: parts.map((part) => part.size),
  }
}

/** S3's formula: the MD5 of the parts' MD5s, and how many they are. */
function multipartEtag(parts: StoredPart[]): string {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part.md5 ?? randomBytes(16))
  return `"${hash.digest('hex')}-${parts.length}"`
}
