import { z } from 'zod'
import { uploadState } from './upload.ts'

const bytes = z.int().describe('Bytes')
const moment = z.iso.datetime()

const anyUpload = z
  .object({
    id: z.string(),
    user: z.string(),
    tenant: z.string().nullable(),
    role: z.string(),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: bytes.nullable().describe('Bytes; null while the length is not declared'),
    received: bytes.describe('Bytes stored; grows by whole parts while a body is being received'),
    state: uploadState,
    failure: z.string().nullable().describe('Why the upload failed: lost, digest or type'),
    kind: z
      .enum(['sequential', 'parted', 'final'])
      .describe('Appended at the offset; sent as numbered parts; or concatenated from partial uploads (tus)'),
    partial: z.boolean().describe('It becomes a range of a final upload (tus concatenation) and is no file of its own'),
    live: z.boolean().describe('Whether a server is writing to it now'),
    key: z.string().describe('The key of the object in the store'),
    objectUrl: z.string().nullable().describe('URL of the completed object for browsers; needs S3_PUBLIC_URL'),
    createdAt: moment,
    updatedAt: moment,
    completedAt: moment.nullable(),
    expiresAt: moment.nullable().describe('When the upload expires if no more bytes arrive'),
  })
  .describe('An upload of any owner')

const uploadDetails = anyUpload.extend({
  metadata: z.string().nullable().describe('Upload metadata, as the client sent it'),
  fingerprint: z.string().nullable().describe('The fingerprint by which the client recognizes the file'),
  partSize: bytes,
  maxSize: bytes.describe('The largest size that this upload may have, in bytes'),
  timeToLiveMs: z.int().nullable(),
  reserved: bytes.nullable().describe('Bytes of its owner’s quota that it reserves'),
  etag: z.string().nullable(),
  parts: z.int().describe('Stored parts of a multipart upload that is not complete yet'),
  tailObjects: z.int().describe('Tail objects: bytes that do not fill a part yet'),
  needsCleanup: z.boolean().describe('The store may hold orphaned objects of it; the sweeper will check'),
})

const timelineEntry = z.object({
  at: moment,
  source: z
    .enum(['audit', 'event'])
    .describe('`audit`: an entry of the audit log; `event`: an event that listeners receive'),
  what: z
    .string()
    .describe('The action of the audit entry, such as upload.create, or the name of the event, such as upload.created'),
  allowed: z.boolean(),
  actor: z.string().nullable().describe('null: the server itself, or an unknown client'),
  role: z.string().nullable(),
  key: z.string().nullable().describe('The API key that was used'),
  address: z.string().nullable(),
  agent: z.string().nullable(),
  code: z.string().nullable(),
  rule: z.string().nullable().describe('The rule that refused the request'),
  note: z.string().nullable(),
  times: z.int(),
  deliveredAt: moment.nullable().describe('When the event was delivered to all listeners'),
})

export const oneUpload = z.object({
  upload: uploadDetails,
  timeline: z.array(timelineEntry).describe('Oldest first'),
})

export const anyUploads = z.object({
  uploads: z.array(anyUpload),
  next: z.string().nullable().describe('Pass it as `before` to get the next page; null on the last page'),
})

const name = z.string().min(1).max(128).optional()

export const anyUploadsQuery = z.object({
  limit: z.int().min(1).max(200).default(50).describe('Uploads per page'),
  before: z.uuid().optional().describe('The id of the last upload of the previous page'),
  state: uploadState.optional(),
  role: name,
  user: name.describe('Only uploads of this user'),
  tenant: z.string().max(128).optional().describe('Only uploads of this tenant; empty: only those without a tenant'),
  text: z.string().min(1).max(256).optional().describe('Part of a file name, ignoring case, or the beginning of an id'),
  since: z.iso.datetime({ offset: true }).optional().describe('Created at or after'),
  until: z.iso.datetime({ offset: true }).optional().describe('Created before'),
  live: z.boolean().optional().describe('true: only uploads that a server is writing to; false: only the others'),
})

/** Active uploads and stored files, over all servers. */
export const summary = z.object({
  open: z
    .array(z.object({ state: z.enum(['receiving', 'finishing']), role: z.string(), count: z.int(), live: z.int() }))
    .describe('Uploads that have not ended'),
  finishingOldestSeconds: z.number().nullable().describe('How long the oldest unfinished completion has been waiting'),
  eventsToDeliver: z.int(),
  eventsOldestSeconds: z.number().nullable(),
  reservedBytes: bytes,
  storedBytes: bytes,
  storedFiles: z.int(),
  users: z.int().describe('Users who have or had uploads'),
})

/** What an administrator does to an upload of any owner. */
export type AdminAction = 'cancel' | 'finish' | 'expire'
export type AnyUpload = z.output<typeof anyUpload>
export type UploadDetails = z.output<typeof uploadDetails>
export type TimelineEntry = z.output<typeof timelineEntry>
export type OneUpload = z.output<typeof oneUpload>
export type AnyUploads = z.output<typeof anyUploads>
export type AnyUploadsQuery = z.output<typeof anyUploadsQuery>
export type Summary = z.output<typeof summary>
