/*
 * Metadata that the store keeps with an object: the owner of the file, its name and more. It is written when the object is created, and
 * read only when a database was lost or is older than its store, to rebuild the rows from the objects.
 */
import { servedTypeOf } from '../media/served-type.ts'
import type { ObjectMetadata } from '../ports/object-store.ts'
import type { UploadRecord } from '../upload.ts'

/** The upload that an object came from. */
export interface ObjectOrigin {
  id: string
  ownerId: string
  tenant: string | null
  role: string
  filename: string
  contentType: string
  category: string
  createdAt: Date
}

// S3 keeps 2 KiB of metadata with an object, names included: docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
const maxLength = 1900
const base64url = /^[\w-]+$/

/** The metadata with which the object of `upload` is stored: how it is served, and its origin. */
export function objectMetadataOf(upload: UploadRecord): ObjectMetadata {
  const metadata = servedTypeOf(upload)
  // A partial upload is no file of its own, so no row is rebuilt from it.
  return upload.isPartial ? metadata : { ...metadata, origin: writeOrigin(upload) }
}

/** The origin as Base64url; a file name that is too long is cut. */
function writeOrigin(upload: UploadRecord): string {
  const { id, ownerId, tenant, role, contentType, category, createdAt } = upload
  for (let name = upload.filename; ; name = name.slice(0, Math.floor(name.length * 0.8))) {
    const fields = [1, id, ownerId, tenant, role, name.toWellFormed(), contentType, category, createdAt.toISOString()]
    const text = Buffer.from(JSON.stringify(fields)).toString('base64url')
    if (text.length <= maxLength || name === '') return text
  }
}

/** Reads what `objectMetadataOf` wrote; `null` for anything else. */
export function readOrigin(text: string | null | undefined): ObjectOrigin | null {
  if (!text || !base64url.test(text)) return null
  try {
    const fields: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (!Array.isArray(fields) || fields[0] !== 1) return null
    const [, id, ownerId, tenant, role, filename, contentType, category, created] = fields as unknown[]
    const createdAt = new Date(String(created))
    const texts = [id, ownerId, role, filename, contentType, category]
    if (!texts.every((text) => typeof text === 'string') || Number.isNaN(createdAt.getTime())) return null
    if (tenant !== null && typeof tenant !== 'string') return null
    return { id, ownerId, tenant, role, filename, contentType, category, createdAt } as ObjectOrigin
  } catch {
    return null
  }
}
