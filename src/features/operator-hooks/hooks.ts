/*
 * The operator's own code: the default export of the module that the setting HOOKS names. Every function is optional. When one throws,
 * takes too long or returns a value of another type, the request is answered 503 and changes nothing.
 */
import type { Action } from '../../core/access/actions.ts'
import type { Actor, CreateUpload, Scope, Upload } from '../../core/upload.ts'

export interface Hooks {
  /**
   * The final decision on a request that passed the owner check; it cannot allow what that check refuses. Called when a request
   * starts, and with `complete` once more before an upload is completed.
   */
  authorize?(request: AuthorizeRequest): Verdict | Promise<Verdict>
  /**
   * The key of a new object in place of KEY_TEMPLATE: folders and a file name separated by `/`. Unsafe characters are replaced. If the
   * key contains neither `id` nor `unique`, `unique` is put before the file name, so that no object ever replaces another.
   */
  nameObject?(request: NameRequest): string | Promise<string>
  /** The user of a request with no token, or with a token that no other check accepts; `null`: unknown, the request gets 401. */
  identify?(request: HookRequest): Identified | null | Promise<Identified | null>
}

export interface AuthorizeRequest {
  actor: Actor
  /** `append`: send bytes; `read`: read one upload; `finish`, `expire`: an admin completes or expires an upload now. */
  action: Action
  /** The upload concerned; absent for `create` and `list`. */
  upload?: Upload
  /** The creation request; only for `create`. */
  creation?: CreateUpload
}

/** `true`: allowed. `false`: 403. `'hidden'`: 404, as if the upload did not exist. `because`: 403 with this message for the user. */
export type Verdict = boolean | 'hidden' | { because: string }

export interface NameRequest {
  actor: Actor
  creation: CreateUpload
  /** The id of the upload, as in its URL. */
  id: string
  /** 32 random hexadecimal digits, different for every upload. */
  unique: string
}

export interface HookRequest {
  method: string
  /** Path and query. */
  url: string
  /** Header names are in lower case. */
  headers: Record<string, string | string[] | undefined>
  ip: string
}

export interface Identified {
  /** 1 to 128 characters. */
  id: string
  role: string
  tenant?: string | null
  isAdmin?: boolean
  scopes?: Scope[]
}
