/*
 * A client that did not hear the answer to a creation asks for the same once more, and gets a new upload. The one that it never
 * knew takes the owner's room until it expires. Where the room is not enough for both, it gives way: it was asked for in the same
 * words, its client may not have heard of it, and no request has written to it since. Two uploads that are alike on purpose are not
 * touched: their clients know them.
 */
import { ownerOfActor } from '../access/access.ts'
import type { BackgroundTasks } from '../background.ts'
import type { Repeat } from '../engine.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import type { CreationKey, UploadRepository } from '../ports.ts'
import type { Ends } from '../transitions/ends.ts'
import type { Actor, CreateUpload, UploadRecord } from '../upload.ts'

export interface LostCreations {
  /** See `Engine.unheard`. */
  markAnswerLost(id: string, offset: number | null): void
  /** Resolves when what was said until now is recorded: the end of a connection is seen before its client can ask again. */
  recorded(): Promise<void>
  /** Ends an upload that `actor` asked for in the words of `wish` and never heard of, when that is why it is refused. */
  replaceLost(actor: Actor, creation: CreateUpload, error: unknown): Promise<boolean>
  /** What `wish` may be the repetition of, when there is no room for another; `null` when there is nothing, or there is room. */
  withoutRoom(
    actor: Actor,
    creation: CreateUpload,
    error: unknown,
  ): Promise<{ session: UploadRecord; repeats: Repeat } | null>
}

/** Creations whose answers may have been lost, over one database. */
export function createLostCreations({
  uploads,
  ends,
  runDetached,
}: { uploads: UploadRepository; ends: Ends } & Pick<BackgroundTasks, 'runDetached'>): LostCreations {
  const marking = new Set<Promise<void>>()
  return {
    markAnswerLost(id, offset) {
      const mark = uploads.markAnswerLost(id, offset).finally(() => marking.delete(mark))
      marking.add(mark)
      runDetached(mark, { uploadId: id, what: 'recording that an answer was lost' })
    },
    async recorded() {
      await Promise.allSettled(marking)
    },
    async replaceLost(actor, creation, error) {
      if (!isFull(error)) return false
      const lost = await uploads.findLostCreation(askedOf(actor, creation))
      if (lost) await ends.replace(lost.id, lost.offset, actor)
      return lost !== null
    },
    async withoutRoom(actor, creation, error) {
      if (!isFull(error) || !(creation.withBody || creation.size === 0)) return null
      const ids = await uploads.findRepeated(askedOf(actor, creation))
      const upload = ids[0] !== undefined && (await uploads.find(ids[0]))
      return upload ? { session: upload, repeats: { ids, refusal: error } } : null
    },
  }
}

function isFull(error: unknown): error is UploadError {
  return isUploadError(error, 'QUOTA_EXCEEDED', 'RATE_LIMITED') && error.facts.rule !== 'creationsPerMinute'
}

function askedOf(actor: Actor, creation: CreateUpload): CreationKey {
  return {
    ...ownerOfActor(actor),
    role: actor.role,
    agent: actor.agent ?? null,
    filename: creation.filename.normalize('NFC'),
    size: creation.size,
    metadata: creation.metadata ?? null,
    fingerprint: creation.fingerprint ?? null,
    isPartial: creation.concat?.kind === 'partial',
    byChunks: creation.hasNumberedParts ?? false,
  }
}
