/*
 * What an object says of itself, beside its bytes: whose file it is and what it was called. It is written when the object is begun,
 * and read only when a database has been lost or is older than its store: then the rows can be made of the objects.
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
const longest = 1900
const form = /^[\w-]+$/

/** What the store is told of the object of `session`: its type, and where it comes from. */
export function objectMetadataOf(upload: UploadRecord): ObjectMetadata {
  const metadata = servedTypeOf(upload)
  // A partial upload is no file: nothing could be made of it.
  return upload.concat?.kind === 'partial' ? metadata : { ...metadata, origin: writeOrigin(upload) }
}

/** The origin as one word of ASCII. A name that is too long loses its end. */
function writeOrigin(upload: UploadRecord): string {
  const { id, ownerId, tenant, role, contentType, category, createdAt } = upload
  for (let name = upload.filename; ; name = name.slice(0, Math.floor(name.length * 0.8))) {
    const words = [1, id, ownerId, tenant, role, name.toWellFormed(), contentType, category, createdAt.toISOString()]
    const text = Buffer.from(JSON.stringify(words)).toString('base64url')
    if (text.length <= longest || name === '') return text
  }
}

/** The origin in what an object says of itself; `null` for what no server of ours has written. */
export function readOrigin(text: string | null | undefined): ObjectOrigin | null {
  if (!text || !form.test(text)) return null
  try {
    const words: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (!Array.isArray(words) || words[0] !== 1) return null
    const [, id, ownerId, tenant, role, filename, contentType, category, created] = words as unknown[]
    const createdAt = new Date(String(created))
    const texts = [id, ownerId, role, filename, contentType, category]
    if (!texts.every((word) => typeof word === 'string') || Number.isNaN(createdAt.getTime())) return null
    if (tenant !== null && typeof tenant !== 'string') return null
    return { id, ownerId, tenant, role, filename, contentType, category, createdAt } as ObjectOrigin
  } catch {
    return null
  }
}
