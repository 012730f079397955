/*
 * What an operator's own code may say: the default export of the module that the setting HOOKS names. Every function may be
 * left out. One that throws, takes too long or answers something else makes the request 503: nothing is done, nothing deleted.
 */
import type { Action } from '../../core/access/access.ts'
import type { Actor, CreateUpload, Scope, Upload } from '../../core/upload.ts'

export interface Hooks {
  /**
   * The last word on whether somebody may do something, after the owner check. Asked when a request starts, and with `complete`
   * once more before a file is completed. It cannot allow what the owner check refuses.
   */
  authorize?(question: AuthorizeRequest): Verdict | Promise<Verdict>
  /**
   * The name of a new object, in place of KEY_TEMPLATE: folders and a file name with `/` between them. Every part is made safe,
   * and where neither `id` nor `unique` is in it, `unique` is put before the file name: no object ever replaces another.
   */
  nameObject?(question: NameRequest): string | Promise<string>
  /** Who sends a request that carries no token, or one that nobody else knows; `null`: a stranger, who is refused. */
  identify?(request: HookRequest): Identified | null | Promise<Identified | null>
}

export interface AuthorizeRequest {
  actor: Actor
  /** `append`: bytes come; `describe`: somebody looks at one upload; `finish`, `expire`: an admin does so at once. */
  action: Action
  /** The upload it is about; not for `create` and `list`. */
  upload?: Upload
  /** What `create` wants. */
  creation?: CreateUpload
}

/** `true`: go on. `false`: 403. `'hidden'`: 404, as if it were not there. `because`: 403, and this is why, for the person who sends. */
export type Verdict = boolean | 'hidden' | { because: string }

export interface NameRequest {
  actor: Actor
  creation: CreateUpload
  /** The upload's, as its URL has it. */
  id: string
  /** 32 random hexadecimal digits that stand nowhere else. */
  unique: string
}

export interface HookRequest {
  method: string
  /** Path and query. */
  url: string
  /** Names in lower case. */
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
