/*
 * A client that did not receive the answer to a creation sends the same creation again, and gets a new upload. The first one, which the
 * client does not know, holds the owner's quota until it expires. Where the quota has no room for both, the first one is replaced: it was
 * asked for in the same words, its answer may have been lost, and no request has written to it since. Two uploads that a user creates
 * alike on purpose are not touched: their client knows both.
 */
import { ownerOfActor } from '../access/access.ts'
import type { EngineContext } from '../engine-context.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import type { InitialLock } from '../ports/locks.ts'
import type { CreationKey } from '../ports/uploads.ts'
import type { Repeat } from '../receive/requests.ts'
import { replaceUpload } from '../transitions/end.ts'
import type { Actor, CreateUpload, UploadRecord } from '../upload.ts'
import { type InsertedUpload, insertUpload, type PreparedUpload } from './insert-upload.ts'

/** Records, beside the answer, that the answer to a creation may have been lost: see `Engine.markAnswerLost`. */
export function markAnswerLost(
  { uploads, background, markingLost }: EngineContext,
  id: string,
  offset: number | null,
): void {
  const marking = uploads.markAnswerLost(id, offset).finally(() => markingLost.delete(marking))
  markingLost.add(marking)
  background.runDetached(marking, { uploadId: id, what: 'recording that an answer was lost' })
}

/** Resolves when the marks of lost answers are recorded: the end of a connection is seen before its client can ask again. */
export async function lostAnswersMarked({ markingLost }: EngineContext): Promise<void> {
  await Promise.allSettled(markingLost)
}

/**
 * As `insertUpload`. Where the quota has no room, it ends the upload that an equal creation made and whose answer was lost, if there is one,
 * and takes its place.
 */
export async function insertInPlaceOfLost(
  context: EngineContext,
  actor: Actor,
  creation: CreateUpload,
  prepared: PreparedUpload,
  lock?: InitialLock,
): Promise<InsertedUpload> {
  const insert = () => insertUpload(context, actor, prepared, lock)
  return insert().catch(async (error: unknown) => {
    const lost = isQuotaError(error) ? await context.uploads.findLostCreation(creationKey(actor, creation)) : null
    if (!lost) throw error
    await replaceUpload(context, lost.id, lost.offset, actor)
    return insert()
  })
}

/** The uploads that the body of this creation may repeat, if the quota has no room for another; `null`: none, or the error is not the quota's. */
export async function findRepetition(
  { uploads }: EngineContext,
  actor: Actor,
  creation: CreateUpload,
  error: unknown,
): Promise<{ upload: UploadRecord; repeats: Repeat } | null> {
  if (!isQuotaError(error)) return null
  const ids = await uploads.findRepeated(creationKey(actor, creation))
  const upload = ids[0] === undefined ? null : await uploads.find(ids[0])
  return upload && { upload, repeats: { ids, creationError: error } }
}

function isQuotaError(error: unknown): error is UploadError {
  return isUploadError(error, 'QUOTA_EXCEEDED', 'RATE_LIMITED') && error.facts['rule'] !== 'creationsPerMinute'
}

function creationKey(actor: Actor, creation: CreateUpload): CreationKey {
  return {
    ...ownerOfActor(actor),
    role: actor.role,
    agent: actor.agent ?? null,
    filename: creation.filename.normalize('NFC'),
    size: creation.size,
    metadata: creation.metadata ?? null,
    fingerprint: creation.fingerprint ?? null,
    kind: creation.kind ?? 'sequential',
    isPartial: creation.isPartial ?? false,
  }
}
