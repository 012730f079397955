/*
 * Whose an upload is, and what may be asked of it. Every verb of the engine passes here, and every list is limited to the owner that
 * `ownerOfActor` gives. Who may do what is the table of `actions.ts`.
 */

import { errors } from '../errors/errors.ts'
import { type Actor, hasEnded, ownerKey, type UnmeasuredView, type Upload } from '../upload.ts'
import { type Action, actions } from './actions.ts'

/** A client that did not receive the last answer asks again; within a day it still has the answer. */
const resumeTokenGraceMs = 24 * 60 * 60 * 1000

/** The user that uploads belong to: ids are unique within a tenant only. */
export type Owner = Pick<Upload, 'ownerId' | 'tenant'>

/** The owner of uploads that `actor` creates. */
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
 * The tenant that a request of an admin is limited to; `undefined`: all tenants. Every list and every creation on an admin route takes
 * its tenant from here. An admin with a tenant who names none means their own.
 * @throws UploadError FORBIDDEN for users, and for an admin who names a tenant that is not theirs
 */
export function tenantWithin(actor: Actor, named?: string | null): string | undefined {
  const wanted = named ?? actor.tenant
  if (!administers(actor, wanted))
    throw actor.isAdmin ? errors.otherTenant({ tenant: actor.tenant }) : errors.adminsOnly()
  return wanted ?? undefined
}

/** Whether the actor may create uploads for other users of the same tenant: an admin, or a service with a key of its own. */
function mayActForOthers({ isAdmin, isService, resumeUploadId }: Actor): boolean {
  return resumeUploadId === undefined && (isAdmin || isService === true)
}

/** Whether the actor created the upload for its owner, and may still act for others. */
function isAgent(actor: Actor, { agent, tenant }: Pick<Upload, 'agent' | 'tenant'>): boolean {
  return agent !== null && agent === ownerKey(actor) && tenant === actor.tenant && mayActForOthers(actor)
}

/**
 * The actor as the user that the request names, for a creation: the user owns the upload, and the actor may continue it. Without another
 * user the actor is returned as it is. A service has the limits of its own role for every user; an admin names the role as well.
 * @throws UploadError FORBIDDEN when the actor may not act for others
 */
export function actAs(actor: Actor, { user = actor.id, role = actor.role }: { user?: string; role?: string }): Actor {
  if (user === actor.id && role === actor.role) return actor
  if (!mayActForOthers(actor)) throw errors.mayNotActForOthers({ field: user === actor.id ? 'user_role' : 'user_id' })
  if (role !== actor.role && !actor.isAdmin) throw errors.otherRole()
  const { isService: _, ...rest } = actor
  return { ...rest, id: user, role, isAdmin: false, agent: ownerKey(actor) }
}

/**
 * Checks that `actor` may ask for `action` on the upload. Other users learn nothing, not even that the upload exists.
 * @throws UploadError UPLOAD_NOT_FOUND; FORBIDDEN for a key without the scope and for actions of admins; UNAUTHENTICATED for a resume token
 * that is not made for the action, or whose upload ended more than a day ago
 */
export function authorizeOwner(actor: Actor, upload: UnmeasuredView, action: Action, now: Date): void {
  const isOwners = isOwner(actor, upload) || isAgent(actor, upload)
  const isAdmins = actions[action].admin && administers(actor, upload.tenant)
  if (!(isOwners || isAdmins)) throw errors.uploadNotFound()
  if (actor.resumeUploadId !== undefined && actor.resumeUploadId !== upload.id) throw errors.uploadNotFound()
  if (actor.resumeUploadId !== undefined && !actions[action].resumeToken) throw errors.resumeTokenOfOther()
  if (actor.resumeUploadId !== undefined && endedLongAgo(upload, now)) throw errors.resumeTokenExpired()
  if (!actions[action].owner && !actor.isAdmin) throw errors.adminsOnly({ action })
  assertScope(actor, action)
}

/**
 * Checks that `actor` may ask for an action that is not about one upload.
 * @throws UploadError FORBIDDEN; UNAUTHENTICATED for a resume token, which is valid for one upload only
 */
export function authorizeCollection(actor: Actor, action: 'create' | 'list' | 'subscribe'): void {
  if (actor.resumeUploadId !== undefined && !actions[action].resumeToken) throw errors.resumeTokenOfOther()
  assertScope(actor, action)
}

function assertScope({ scopes }: Actor, action: Action): void {
  if (scopes && !actions[action].scopes.some((scope) => scopes.includes(scope))) throw errors.scopeMissing({ action })
}

function endedLongAgo(upload: UnmeasuredView, now: Date): boolean {
  return hasEnded(upload) && (upload.completedAt ?? upload.updatedAt).getTime() + resumeTokenGraceMs < now.getTime()
}
