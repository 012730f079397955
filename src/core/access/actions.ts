import type { Scope } from '../upload.ts'

/**
 * What can be asked of uploads. `append`: every way in which bytes arrive; `read`: every look at one upload; `subscribe`: to be told of
 * them by webhooks; `finish` and `expire`: what the server does by itself in time, at once; `download`: the bytes of a completed file;
 * `link`: links to them, which need no token; `retry`: another attempt of a step that follows the upload.
 */
export type Action =
  | 'create'
  | 'append'
  | 'read'
  | 'complete'
  | 'cancel'
  | 'list'
  | 'subscribe'
  | 'finish'
  | 'expire'
  | 'download'
  | 'link'
  | 'retry'

/** Who may ask for an action. */
export interface ActionRule {
  /** The owner, and the admin or service that created the upload for its owner. */
  owner: boolean
  /** An admin of the upload's tenant, for uploads of others. */
  admin: boolean
  /** A resume token, for its own upload. */
  resumeToken: boolean
  /** An API key needs one of these scopes, for whatever user it acts. */
  scopes: readonly Scope[]
}

/** Who may do what: the one table. A client that sends must be able to ask for the offset, so `upload` includes reading. */
export const actions: Record<Action, ActionRule> = {
  create: { owner: true, admin: false, resumeToken: false, scopes: ['upload'] },
  append: { owner: true, admin: false, resumeToken: true, scopes: ['upload'] },
  read: { owner: true, admin: true, resumeToken: true, scopes: ['upload', 'read', 'admin'] },
  complete: { owner: true, admin: false, resumeToken: true, scopes: ['upload'] },
  cancel: { owner: true, admin: true, resumeToken: true, scopes: ['cancel', 'admin'] },
  list: { owner: true, admin: false, resumeToken: false, scopes: ['read'] },
  subscribe: { owner: true, admin: true, resumeToken: false, scopes: ['read', 'admin'] },
  finish: { owner: false, admin: true, resumeToken: false, scopes: ['admin'] },
  expire: { owner: false, admin: true, resumeToken: false, scopes: ['admin'] },
  download: { owner: true, admin: true, resumeToken: false, scopes: ['read', 'admin'] },
  link: { owner: true, admin: true, resumeToken: false, scopes: ['read', 'admin'] },
  retry: { owner: true, admin: true, resumeToken: false, scopes: ['upload', 'admin'] },
}
