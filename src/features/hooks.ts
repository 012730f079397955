/*
 * The operator's own code: the default export of the module that the setting HOOKS names, or functions that an app gives to
 * `landfall/fastify`. Every function is optional and may be asynchronous.
 *
 * The functions that decide run while their request waits. One that throws, takes longer than HOOK_TIMEOUT or returns a value of another
 * type makes the request fail with 503, which clients repeat; it changes nothing and deletes nothing. `onUploadCompleted` runs after the
 * fact and is repeated until it succeeds.
 */
import type { Action } from '../core/access/actions.ts'
import type { Actor, CreateUpload, MaybeMeasured, Scope, Upload } from '../core/upload.ts'

/** `User`: what the app's `authenticate` returned for the user of the request; with HOOKS, `undefined`. */
export interface Hooks<User = undefined> {
  /**
   * The final decision on a request that passed the owner check; it cannot allow what that check refuses. Called when a request
   * starts, and with `complete` once more before an upload is completed.
   */
  authorize?(request: AuthorizeRequest<User>): Verdict | Promise<Verdict>
  /**
   * Called before an upload is created, after the policies have allowed it: rules of one's own about size, name, media type and role.
   * A refusal is 403, with its reason as the message.
   */
  beforeCreate?(request: CreationRequest<User>): Decision | Promise<Decision>
  /**
   * The key of a new object in place of KEY_TEMPLATE: folders and a file name separated by `/`. Unsafe characters are replaced. If the
   * key contains neither `id` nor `unique`, `unique` is put before the file name, so that no object ever replaces another.
   */
  nameObject?(request: NameRequest<User>): string | Promise<string>
  /**
   * Called with the first bytes of a file, before any of it is in the store, after the policies have allowed the media type that they
   * show. A refusal is 415 and the upload has failed. Repeated requests may call it again. Needs CONTENT_CHECK.
   */
  onFirstBytes?(request: FirstBytesRequest<User>): Decision | Promise<Decision>
  /**
   * Called when every byte of a file is in the store, before the object is made. A refusal is 403: the upload stays as it is, its client
   * may try again, and it expires in its time.
   */
  beforeComplete?(request: CompletionRequest<User>): Decision | Promise<Decision>
  /**
   * Called after a file is complete, from the outbox: at least once, on one server, also after a crash. After a failure, or 30 seconds, it
   * is called again, with pauses that grow to an hour. `event.id` is the same in every repetition.
   */
  onUploadCompleted?(event: CompletedEvent): void | Promise<void>
  /** The user of a request with no token, or with a token that no other check accepts; `null`: unknown, the request gets 401. */
  identify?(request: HookRequest): Identified | null | Promise<Identified | null>
}

export interface HookContext<User = undefined> {
  actor: Actor
  /** What `authenticate` of the app returned. */
  user: User
}

export interface AuthorizeRequest<User = undefined> extends HookContext<User> {
  /**
   * `append`: send bytes; `read`: read one upload; `finish`, `expire`: an admin completes or expires an upload now; `download`: read the
   * bytes of a file; `link`: make or revoke links to it, which need no token.
   */
  action: Action
  /** The upload concerned; absent for `create` and `list`. Without its offset when a numbered part is sent. */
  upload?: MaybeMeasured
  /** The creation request; only for `create`. */
  creation?: CreateUpload
}

export interface CreationRequest<User = undefined> extends HookContext<User> {
  creation: CreateUpload
}

export interface NameRequest<User = undefined> extends HookContext<User> {
  creation: CreateUpload
  /** The id of the upload, as in its URL. */
  id: string
  /** 32 random hexadecimal digits, different for every upload. */
  unique: string
}

export interface FirstBytesRequest<User = undefined> extends HookContext<User> {
  /** With the media type and category that the bytes show. */
  upload: Upload
  /** At most 4,100; a smaller file is here whole. */
  bytes: Uint8Array
}

export interface CompletionRequest<User = undefined> extends HookContext<User> {
  upload: Upload
}

export interface CompletedEvent {
  id: number
  uploadId: string
  completedAt: Date
  ownerId: string
  tenant: string | null
  role: string
  /** The name of the object in the store. */
  key: string
  filename: string
  contentType: string
  category: string
  /** Bytes. */
  size: number
}

/** `true`: allowed. `false`: refused. `because`: refused with this message for the user. */
export type Decision = boolean | { because: string }

/** As `Decision`; `'hidden'`: 404, as if the upload did not exist. */
export type Verdict = Decision | 'hidden'

export interface HookRequest {
  method: string
  /** Path and query. */
  url: string
  /** Header names are in lower case. */
  headers: Record<string, string | string[] | undefined>
  ip: string
}

/** A user, as an app or an identity provider knows them. */
export interface Identified {
  /** 1 to 128 characters. */
  id: string
  role: string
  tenant?: string | null
  isAdmin?: boolean
  scopes?: Scope[]
}
