/*
 * Whose an upload is, and what may be asked of it. This is the one place that decides: every verb of the engine passes here,
 * and every list is asked for in the words of `asOwner`.
 */
import { UploadError } from './errors.ts'
import { type Actor, hasEnded, type Scope, type Upload, type Wish } from './upload.ts'

/**
 * What can be asked. `append`: every way in which bytes come; `describe`: every look at one upload; `finish` and `expire`: what
 * the server does by itself in time, at once.
 */
export type Verb = 'create' | 'append' | 'describe' | 'complete' | 'cancel' | 'list' | 'finish' | 'expire'

/** Somebody asks something: about `upload`, or for a new one as `wish` has it. */
export interface Demand {
  actor: Actor
  verb: Verb
  upload?: Upload
  wish?: Wish
}

/**
 * The last word of whoever knows more than the table below: is the key still good, what does the operator's code say. Asked
 * when a request starts, and once more before an upload is completed; never while a body is being read.
 * @throws UploadError to refuse; nothing is deleted then
 */
export type Permit = (demand: Demand) => Promise<void>

/** The scopes of which one is needed for a verb. Who sends must be able to ask how far it came. */
const scopesFor: Record<Verb, Scope[]> = {
  create: ['upload'],
  append: ['upload'],
  describe: ['upload', 'read', 'admin'],
  complete: ['upload'],
  cancel: ['cancel', 'admin'],
  list: ['read'],
  finish: ['admin'],
  expire: ['admin'],
}

/** What an admin may do with what is not theirs. */
const forAdmins: Verb[] = ['describe', 'cancel', 'finish', 'expire']
/** What nobody else may do, not even with what is their own. */
const onlyForAdmins: Verb[] = ['finish', 'expire']

// A client that did not hear the last answer asks again. After a day nobody does.
const graceMs = 24 * 60 * 60 * 1000

/** Whose uploads somebody's are: the same user of the same tenant. */
export type Owner = Pick<Upload, 'ownerId' | 'tenant'>

/** The owner of whatever `actor` creates. */
export function asOwner({ id, tenant }: Actor): Owner {
  return { ownerId: id, tenant }
}

/** Whether the upload is the actor's own. */
export function isOwner(actor: Actor, { ownerId, tenant }: Owner): boolean {
  return ownerId === actor.id && tenant === actor.tenant
}

/**
 * Lets through whoever may ask `verb` of the upload. A stranger learns nothing, not even that it exists.
 * @throws UploadError UPLOAD_NOT_FOUND, FORBIDDEN for a key without the scope and for what is an admin's, UNAUTHENTICATED for a resume token whose time is over
 */
export function admit(actor: Actor, upload: Upload, verb: Verb, now: Date): void {
  const isAllowed = isOwner(actor, upload) || (actor.isAdmin && forAdmins.includes(verb))
  if (!isAllowed || (actor.capability ?? upload.id) !== upload.id) throw notFound()
  if (actor.capability !== undefined && isLongOver(upload, now))
    throw new UploadError('UNAUTHENTICATED', 'The resume token has expired with its upload.')
  if (onlyForAdmins.includes(verb) && !actor.isAdmin)
    throw new UploadError('FORBIDDEN', 'Only administrators may do this.', { verb })
  refuseScope(actor, verb)
}

/**
 * The same for what is not about one upload.
 * @throws UploadError FORBIDDEN, UNAUTHENTICATED for a resume token, which speaks for one upload only
 */
export function admitAnew(actor: Actor, verb: 'create' | 'list'): void {
  if (actor.capability !== undefined)
    throw new UploadError('UNAUTHENTICATED', 'A resume token is good for its own upload only.')
  refuseScope(actor, verb)
}

/** The answer for what does not exist and for what belongs to somebody else. */
export function notFound(): UploadError {
  return new UploadError('UPLOAD_NOT_FOUND', 'There is no such upload.')
}

function refuseScope({ scopes }: Actor, verb: Verb): void {
  if (scopes && !scopesFor[verb].some((scope) => scopes.includes(scope)))
    throw new UploadError('FORBIDDEN', 'This key was not made for that.', { verb })
}

function isLongOver(upload: Upload, now: Date): boolean {
  return hasEnded(upload) && (upload.completedAt ?? upload.updatedAt).getTime() + graceMs < now.getTime()
}
