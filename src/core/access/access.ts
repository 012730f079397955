/*
 * Whose an upload is, and what may be asked of it. This is the one place that decides: every verb of the engine passes here,
 * and every list is asked for in the words of `asOwner`.
 */

import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { type Actor, type CreateUpload, hasEnded, ownerKey, type Scope, type Upload } from '../upload.ts'

/**
 * What can be asked. `append`: every way in which bytes come; `describe`: every look at one upload; `finish` and `expire`: what
 * the server does by itself in time, at once.
 */
export type Action = 'create' | 'append' | 'read' | 'complete' | 'cancel' | 'list' | 'finish' | 'expire'

/** Somebody asks something: about `upload`, or for a new one as `wish` has it. */
export interface AuthorizationRequest {
  actor: Actor
  action: Action
  upload?: Upload
  creation?: CreateUpload
}

/**
 * The last word of whoever knows more than the table below: is the key still good, what does the operator's code say. Asked
 * when a request starts, and once more before an upload is completed; never while a body is being read.
 * @throws UploadError to refuse; nothing is deleted then
 */
export type Authorizer = (demand: AuthorizationRequest) => Promise<void>

/** The scopes of which one is needed for a verb. Who sends must be able to ask how far it came. */
const scopesOf: Record<Action, Scope[]> = {
  create: ['upload'],
  append: ['upload'],
  read: ['upload', 'read', 'admin'],
  complete: ['upload'],
  cancel: ['cancel', 'admin'],
  list: ['read'],
  finish: ['admin'],
  expire: ['admin'],
}

/** What an admin may do with uploads of others that they administer. */
const adminActions: Action[] = ['read', 'cancel', 'finish', 'expire']
/** What nobody else may do, not even with what is their own. */
const adminOnlyActions: Action[] = ['finish', 'expire']

// A client that did not hear the last answer asks again. After a day nobody does.
const resumeTokenGraceMs = 24 * 60 * 60 * 1000

/** Whose uploads somebody's are: the same user of the same tenant. */
export type Owner = Pick<Upload, 'ownerId' | 'tenant'>

/** The owner of whatever `actor` creates. */
export function ownerOfActor({ id, tenant }: Actor): Owner {
  return { ownerId: id, tenant }
}

/** Whether the upload is the actor's own. */
export function isOwner(actor: Actor, { ownerId, tenant }: Owner): boolean {
  return ownerId === actor.id && tenant === actor.tenant
}

/**
 * Whether the actor administers what belongs to `tenant`. An admin with a tenant administers that tenant only; an admin without one
 * administers every tenant, and what belongs to none.
 */
export function administers({ isAdmin, tenant: own }: Actor, tenant: string | null): boolean {
  return isAdmin && (own === null || own === tenant)
}

/**
 * The tenant that a question of an admin is about; `undefined`: all of them. Every list and every creation on an admin route gets its
 * tenant from here. An admin with a tenant who names none means their own.
 * @throws UploadError FORBIDDEN for users, and for an admin who names a tenant that is not theirs
 */
export function tenantWithin(actor: Actor, asked?: string | null): string | undefined {
  const wanted = asked ?? actor.tenant
  if (!administers(actor, wanted)) {
    throw actor.isAdmin ? errors.otherTenant({ tenant: actor.tenant }) : errors.adminsOnly()
  }
  return wanted ?? undefined
}

/** Whether the actor may begin uploads in the name of other users of the same tenant: an admin, or a service with a key of its own. */
function mayActForOthers({ isAdmin, isService, resumeUploadId }: Actor): boolean {
  return resumeUploadId === undefined && (isAdmin || isService === true)
}

/** Whether the actor began the upload for its owner, and may still act for others. */
function isAgent(actor: Actor, { agent, tenant }: Upload): boolean {
  return agent !== null && agent === ownerKey(actor) && tenant === actor.tenant && mayActForOthers(actor)
}

/**
 * The actor as the user that it names, for a creation: the user owns the upload, and the actor may go on with it. Who names
 * nobody else stays who they are. A service has the limits of its own role for every user; an admin names the role as well.
 * @throws UploadError FORBIDDEN for who may not act for others
 */
export function actAs(actor: Actor, { user = actor.id, role = actor.role }: { user?: string; role?: string }): Actor {
  if (user === actor.id && role === actor.role) return actor
  if (!mayActForOthers(actor)) {
    const field = user === actor.id ? 'user_role' : 'user_id'
    throw errors.mayNotActForOthers({ field })
  }
  if (role !== actor.role && !actor.isAdmin) throw errors.otherRole()
  const { isService: _, ...rest } = actor
  return { ...rest, id: user, role, isAdmin: false, agent: ownerKey(actor) }
}

/**
 * Lets through whoever may ask `verb` of the upload. A stranger learns nothing, not even that it exists.
 * @throws UploadError UPLOAD_NOT_FOUND, FORBIDDEN for a key without the scope and for what is an admin's, UNAUTHENTICATED for a resume token whose time is over
 */
export function authorizeOwner(actor: Actor, upload: Upload, action: Action, now: Date): void {
  const isAllowed =
    isOwner(actor, upload) ||
    isAgent(actor, upload) ||
    (administers(actor, upload.tenant) && adminActions.includes(action))
  if (!isAllowed || (actor.resumeUploadId ?? upload.id) !== upload.id) throw notFound()
  if (actor.resumeUploadId !== undefined && endedLongAgo(upload, now)) throw errors.resumeTokenExpired()
  if (adminOnlyActions.includes(action) && !actor.isAdmin) throw errors.adminsOnly({ action })
  assertScope(actor, action)
}

/**
 * The same for what is not about one upload.
 * @throws UploadError FORBIDDEN, UNAUTHENTICATED for a resume token, which speaks for one upload only
 */
export function authorizeCollection(actor: Actor, verb: 'create' | 'list'): void {
  if (actor.resumeUploadId !== undefined) throw errors.resumeTokenOfOther()
  assertScope(actor, verb)
}

/** The answer for what does not exist and for what belongs to somebody else. */
export function notFound(): UploadError {
  return errors.uploadNotFound()
}

function assertScope({ scopes }: Actor, action: Action): void {
  if (scopes && !scopesOf[action].some((scope) => scopes.includes(scope))) throw errors.scopeMissing({ action })
}

function endedLongAgo(upload: Upload, now: Date): boolean {
  return hasEnded(upload) && (upload.completedAt ?? upload.updatedAt).getTime() + resumeTokenGraceMs < now.getTime()
}
