/** What an API key can be made for. */
export const scopes = ['upload', 'read', 'cancel', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** Who asks: the owner of what they create, with the role whose policy applies. */
export interface Actor {
  id: string
  role: string
  /** Users of different tenants never meet, not even under the same id. `null`: outside of every tenant. */
  tenant: string | null
  /** Administers the tenant, or, without one, all of them: see `administers`. */
  isAdmin: boolean
  /** What an API key was made for; not given: whatever the role may. */
  scopes?: Scope[] | undefined
  /** The one upload that a resume token speaks for; not given: all that the user has. */
  resumeUploadId?: string | undefined
  /** An API key that speaks for no user of its own: a service, which may act for the users that it names. */
  isService?: boolean | undefined
  /** In whose name the request comes when it is not the user's own: `wordFor` of an admin or a service that acts for the user. */
  agent?: string | undefined
  /** The API key that asks, or with which the upload of the resume token was begun. */
  keyId?: string | undefined
  /** From where they ask; not given: not over the network. */
  client?: ClientInfo | undefined
}

/** From where a request came. */
export interface ClientInfo {
  /** As far as it can be trusted: of the connection, or what a trusted proxy says. */
  address: string
  /** The network that requests are counted by; `null` or absent: this very machine, whose requests are not. */
  network?: string | null
  /** What the client says it is, shortened. */
  agent: string | null
}

/** A user without tenant who is no admin, unless `more` says so. */
export function userOf(id: string, role: string, more: Partial<Actor> = {}): Actor {
  return { id, role, tenant: null, isAdmin: false, ...more }
}

/**
 * `receiving → finishing → completed`, or `cancelled | expired | failed`. `finishing` means: every byte is stored and
 * recorded, and the store is asked to make the object. Nothing leaves an end state.
 */
export type UploadState = 'receiving' | 'finishing' | 'completed' | 'cancelled' | 'expired' | 'failed'

/** The algorithms a file can be digested with, by their names in HTTP (RFC 9530) and in Node. The last two find damage, not forgery. */
export const digestAlgorithms = { 'sha-256': 'sha256', 'sha-512': 'sha512', sha: 'sha1', md5: 'md5' } as const
export type DigestAlgorithm = keyof typeof digestAlgorithms
/** Base64 by algorithm. */
export type Digests = Partial<Record<DigestAlgorithm, string>>

/** What is known, and asked, of the digests of a whole file. */
export interface FileDigests {
  /** What the client says the file has: it is held to it before the upload is completed. */
  expected: Digests
  /** What the client wants to be told when the file is whole. */
  wanted: DigestAlgorithm[]
  /** What the file was found to have; empty until it is whole. */
  actual: Digests
}

/** How an upload takes part in a concatenation: as a piece of a later file, or as the file made of pieces. */
export type Concat = { kind: 'partial' } | { kind: 'final'; from: string[]; header: string }

/** One file on its way in, as protocols see it. Sizes and offsets are bytes. */
export interface Upload {
  id: string
  ownerId: string
  /** The owner's tenant. */
  tenant: string | null
  role: string
  /** `wordFor` of the admin or service that began it for its owner and may go on with it; `null`: the owner did. */
  agent: string | null
  /** The object key; private, never in a URL. */
  key: string
  filename: string
  contentType: string
  category: string
  /** What the client said about the file, kept to the byte in the form it was said (tus: the Upload-Metadata header). */
  metadata: string | null
  /** What the client knows the file by, on whatever device. */
  fingerprint: string | null
  /** The finished object's ETag, as the store says it, without quotes; `null` until the upload is completed. */
  etag: string | null
  /** `null` while the length is unknown. */
  size: number | null
  /** Bytes; what the upload may have, as its owner was told when it was created. */
  maxSize: number
  /** Bytes durable and recorded; where the next append starts. */
  offset: number
  /** Every part but the last has this size. */
  partSize: number
  state: UploadState
  /** Why a failed upload failed; `joined` of a partial upload that was cancelled because it is part of a file now. */
  failure: string | null
  concat: Concat | null
  /** What is known and asked of the whole file's digests; `null`: nothing. */
  digests: FileDigests | null
  createdAt: Date
  updatedAt: Date
  completedAt: Date | null
  /** When an unfinished upload is given up; moves on with every append. `null`: never, or finished. */
  expiresAt: Date | null
  /** Whether a request was writing to it when it was read, on any server; not given where that was not asked. */
  isBeingWritten?: boolean
}

/** A store's own name for an open multipart upload; opaque. */
export type MultipartId = string

/** A store's proof that a part is durable. Numbers start at 1. */
export interface StoredPart {
  number: number
  size: number
  etag: string
}

/** A private object that holds some bytes which do not yet fill a part. */
export interface TailObject {
  key: string
  size: number
}

/** The durable record of an upload: what the protocols see, and what only the engine needs. */
export interface UploadRecord extends Upload {
  multipartId: MultipartId | null
  /** How long it lives after its last byte, as its owner was told; `null`: for ever. */
  timeToLiveMs: number | null
  /**
   * The first bytes of the file, while they are too few to tell what it is: they are durable here, and nothing of the file
   * is in the store yet. They stay until the store has them.
   */
  prefix: Uint8Array | null
  /** Pieces in order; together they follow the recorded parts. */
  tail: TailObject[]
  /**
   * True when parts may have come out of order: then `offset` counts only what is whole from the start, and parts
   * beyond it may exist.
   */
  hasNumberedParts: boolean
  /** Something of it may lie in the store that the session does not point to. */
  needsCleanup: boolean
  /** When the store first said that something of it is not there; `null`: it never did, or was right again since. */
  lossSeenAt: Date | null
  /** When the object is to be deleted, because its owner or an admin said so; `null`: it is not, or has been. */
  deleteDueAt: Date | null
}

/** What a client asks for when it creates an upload. */
export interface CreateUpload {
  size: number | null
  filename: string
  contentType: string
  category?: string | undefined
  metadata?: string | null | undefined
  fingerprint?: string | null | undefined
  concat?: Concat | null | undefined
  /** Whether a file without bytes is whole at once (`at-size`, the default) or waits to be told (`later`). */
  ending?: 'at-size' | 'later' | undefined
  /** Digests of the whole file: those it must have, and those the client wants to be told. */
  digests?: Pick<FileDigests, 'expected' | 'wanted'> | null | undefined
  /** The client is told the part size and will send chunks by number: it must stay as it is. */
  hasNumberedParts?: boolean | undefined
  /** Whether the request that asks for it brings bytes of it: then it may be the repetition of one that brought all of them. */
  withBody?: boolean | undefined
  /** What the first body is known to bring, so that parts can be as long as the client's chunks. */
  firstChunkSize?: number | undefined
}

/** Who an upload belongs to, as far as its record knows. */
export function actorOfUpload({ ownerId, role, tenant }: Pick<Upload, 'ownerId' | 'role' | 'tenant'>): Actor {
  return { id: ownerId, role, tenant, isAdmin: false }
}

/** One word for a user, to count or remember them by: users of two tenants never share one. */
export function ownerKey({ id, tenant }: Pick<Actor, 'id' | 'tenant'>): string {
  return `${tenant ?? ''}\n${id}`
}

/** Whether nothing can happen to the upload any more. */
export function hasEnded(upload: Pick<Upload, 'state'>): boolean {
  return upload.state !== 'receiving' && upload.state !== 'finishing'
}

/** Whether every byte is recorded. It says nothing about the object: only `completed` does. */
export function hasEveryByte(upload: Pick<Upload, 'offset' | 'size'>): boolean {
  return upload.size !== null && upload.offset === upload.size
}

/** Bytes that follow the recorded parts: those that the session keeps itself, and those in pieces. */
export function tailSize({ prefix, tail }: Pick<UploadRecord, 'prefix' | 'tail'>): number {
  return tail.reduce((sum, tailObject) => sum + tailObject.size, prefix?.length ?? 0)
}
