/** What an API key may be used for. */
export const scopes = ['upload', 'read', 'cancel', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** Who makes a request: the owner of the uploads it creates, with the role whose policy applies. */
export interface Actor {
  id: string
  role: string
  /** User ids are unique within a tenant only. `null`: outside of every tenant. */
  tenant: string | null
  /** Administers the tenant, or, without one, all of them: see `administers`. */
  isAdmin: boolean
  /** What the API key may be used for; not given: everything that the role may. */
  scopes?: Scope[] | undefined
  /** The only upload that a resume token is valid for; not given: all uploads of the user. */
  resumeUploadId?: string | undefined
  /** An API key without a user of its own: a service, which may act for the users that its requests name. */
  isService?: boolean | undefined
  /** `ownerKey` of the admin or service that acts for the user; not given: the user acts. */
  agent?: string | undefined
  /** The API key of the request, or the one with which the upload of the resume token was created. */
  keyId?: string | undefined
  /** Where the request came from; not given: not over the network. */
  client?: ClientInfo | undefined
  /** What an app that authenticates its own users knows them by; for the hooks of that app only, and never saved. */
  account?: unknown
}

/** Where a request came from. */
export interface ClientInfo {
  /** The address of the connection, or the one that a trusted proxy names. */
  address: string
  /** The network that rate limits count by; `null` or not given: this machine, which is not limited. */
  network?: string | null
  /** The User-Agent header, shortened. */
  agent: string | null
}

/** A user without a tenant who is not an admin, unless `more` says otherwise. */
export function userOf(id: string, role: string, more: Partial<Actor> = {}): Actor {
  return { id, role, tenant: null, isAdmin: false, ...more }
}

/**
 * `receiving → finishing → completed`, or `cancelled | expired | failed`. `finishing` means: every byte is stored and
 * recorded, and the store is asked to make the object. An end state is final, except that an operator may restore a completed upload.
 */
export type UploadState = 'receiving' | 'finishing' | 'completed' | 'cancelled' | 'expired' | 'failed'

/** Digest algorithms by their names in HTTP (RFC 9530) and in Node. The last two detect damage, not forgery. */
export const digestAlgorithms = { 'sha-256': 'sha256', 'sha-512': 'sha512', sha: 'sha1', md5: 'md5' } as const
export type DigestAlgorithm = keyof typeof digestAlgorithms
/** Base64 by algorithm. */
export type Digests = Partial<Record<DigestAlgorithm, string>>

/** The digests of a whole file: announced, wanted and computed. */
export interface FileDigests {
  /** Announced by the client: compared before the upload is completed. */
  expected: Digests
  /** To be returned to the client when the file is whole. */
  wanted: DigestAlgorithm[]
  /** Computed from the bytes; empty until the file is whole. */
  actual: Digests
}

/**
 * An upload whose client sends the bytes: `sequential`, each append at the offset, or `parted`, numbered parts in any order. The first
 * numbered part makes a sequential upload a parted one. The repository counts them in the offset of every upload that it reads.
 */
export interface SentUpload {
  kind: 'sequential' | 'parted'
  /** It is not a file: it becomes a range of a final upload (tus Concatenation). */
  isPartial: boolean
}

/** An upload whose bytes are those of its partial uploads (tus Concatenation). */
export interface FinalUpload {
  kind: 'final'
  isPartial: false
  /** Ids, in the order of their bytes; a partial upload may be named repeatedly. */
  partials: string[]
  /** The Upload-Concat header of the creation, which HEAD answers. */
  uploadConcat: string
}

/** Where the bytes of an upload come from. */
export type UploadSource = SentUpload | FinalUpload
export type UploadKind = UploadSource['kind']

/** One file that is being uploaded or has been, as protocols see it. Sizes and offsets are bytes. */
export type Upload = CommonFields & UploadSource

/** The fields of an upload of any kind. */
export type UploadFields = CommonFields & PrivateFields

interface CommonFields {
  id: string
  ownerId: string
  /** The owner's tenant. */
  tenant: string | null
  role: string
  /** `ownerKey` of the admin or service that created it for its owner and may continue it; `null`: the owner did. */
  agent: string | null
  /** The object key; private, never in a URL. */
  key: string
  filename: string
  contentType: string
  category: string
  /** What the client said about the file, byte for byte as it was sent (tus: the Upload-Metadata header). */
  metadata: string | null
  /** What the client recognizes the file by, on every device. */
  fingerprint: string | null
  /** The ETag of the object as the store reports it, without quotes; `null` until the upload is completed. */
  etag: string | null
  /** The CRC-32 of all bytes; `null` until they are in the store, and for good where the store does not tell that of every part. */
  crc32: number | null
  /** `null` while the length is unknown. */
  size: number | null
  /** The largest length, as it was when the upload was created, whatever policy is active later. */
  maxSize: number
  /** Bytes that are durable and recorded; where the next append starts. */
  offset: number
  /** Every part but the last has this size. */
  partSize: number
  state: UploadState
  /** Why a failed upload failed; `concatenated` of a partial upload that ended because its bytes are part of a final upload now. */
  failure: string | null
  /** `null`: no digest was announced or wanted. */
  digests: FileDigests | null
  createdAt: Date
  updatedAt: Date
  completedAt: Date | null
  /** When an unfinished upload expires; every append moves it on. `null`: never, or completed. */
  expiresAt: Date | null
  /** Whether a request was writing to it when the row was read, on any node; not given where the query did not ask. */
  isBeingWritten?: boolean
}

/** The store's id of an open multipart upload; opaque. */
export type MultipartId = string

/** A part that the store has confirmed. Numbers start at 1. */
export interface StoredPart {
  number: number
  size: number
  etag: string
  /** Of the bytes that were given to the store, unsigned; `null`: it was not computed. */
  crc32: number | null
}

/** A private object with bytes that do not fill a part yet (tusd: incomplete part). */
export interface TailObject {
  key: string
  size: number
}

/** The row of an upload: what protocols see, and what only the engine needs. */
export type UploadRecord = Upload & PrivateFields

interface PrivateFields {
  multipartId: MultipartId | null
  /** How long the upload lives after its last byte, as it was when the upload was created; `null`: for ever. */
  timeToLiveMs: number | null
  /**
   * The first bytes of the file while they are too few to show what it is: they are durable in the row, and the store has no byte of the
   * file yet. They stay until the store has them.
   */
  prefix: Uint8Array | null
  /** The tail objects in order; their bytes follow the recorded parts. */
  tail: TailObject[]
  /** The store may have something of the upload that the row does not name: the sweeper must look. */
  needsCleanup: boolean
  /** When the store first reported something of the upload missing; `null`: it never did, or has found it since. */
  lossSeenAt: Date | null
  /** When the object is to be removed after its owner or an admin deleted it; `null`: it is not to be, or has been. */
  deleteDueAt: Date | null
}

/** An upload whose offset was not read: counting the parts of a large file takes long. A stored part may have replaced its tail. */
export type UnmeasuredUpload = UnmeasuredView & PrivateFields
/** The same without what only the engine needs. */
export type UnmeasuredView = Omit<CommonFields, 'offset'> & UploadSource
/** An upload whose offset may not have been read. */
export type MaybeMeasured = UnmeasuredView & { offset?: number }

/** What every upload has before its first byte. */
export function initialFields() {
  return {
    offset: 0,
    state: 'receiving',
    etag: null,
    crc32: null,
    failure: null,
    completedAt: null,
    multipartId: null,
    prefix: null,
    tail: [],
    needsCleanup: false,
    lossSeenAt: null,
    deleteDueAt: null,
  } satisfies Partial<UploadFields>
}

/** The upload without what only the engine needs. */
export function withoutPrivateFields(record: UploadRecord): Upload
export function withoutPrivateFields(record: UnmeasuredUpload): UnmeasuredView
export function withoutPrivateFields({
  multipartId,
  timeToLiveMs,
  prefix,
  tail,
  needsCleanup,
  lossSeenAt,
  deleteDueAt,
  ...upload
}: UnmeasuredUpload): UnmeasuredView {
  return upload
}

/** The request of a client to create an upload; a sequential one unless it says otherwise. */
export type CreateUpload = CreationFields & (Partial<SentUpload> | FinalUpload)

interface CreationFields {
  size: number | null
  filename: string
  contentType: string
  category?: string | undefined
  metadata?: string | null | undefined
  fingerprint?: string | null | undefined
  /** Whether an empty file is whole at once (`at-size`, the default) or waits for the client to say so (`later`). */
  ending?: 'at-size' | 'later' | undefined
  /** Digests of the whole file: those it must have, and those to be returned. */
  digests?: Pick<FileDigests, 'expected' | 'wanted'> | null | undefined
  /** Bytes of the first body, if known, so that parts can be as long as the client's bodies. */
  firstChunkSize?: number | undefined
}

/** The owner of the upload as an actor, as far as the row knows. */
export function actorOfUpload({ ownerId, role, tenant }: Pick<Upload, 'ownerId' | 'role' | 'tenant'>): Actor {
  return { id: ownerId, role, tenant, isAdmin: false }
}

/** A key of the user for counters and caches, unique over all tenants. */
export function ownerKey({ id, tenant }: Pick<Actor, 'id' | 'tenant'>): string {
  return `${tenant ?? ''}\n${id}`
}

/** Whether the offset of the upload was read. */
export function isMeasured(upload: MaybeMeasured): upload is Upload {
  return upload.offset !== undefined
}

/** Whether the upload is in an end state. */
export function hasEnded(upload: Pick<Upload, 'state'>): boolean {
  return upload.state !== 'receiving' && upload.state !== 'finishing'
}

/** Whether every byte is recorded. Only `completed` says that the object exists. */
export function hasEveryByte(upload: Pick<Upload, 'offset' | 'size'>): boolean {
  return upload.size !== null && upload.offset === upload.size
}

/** Bytes that follow the recorded parts: the prefix that the row keeps, and the tail objects. */
export function tailSize({ prefix, tail }: Pick<UploadRecord, 'prefix' | 'tail'>): number {
  return tail.reduce((sum, tailObject) => sum + tailObject.size, prefix?.length ?? 0)
}
