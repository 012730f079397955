/*
 * A client that did not hear the answer to a creation asks for the same once more, and gets a new upload. The one that it never
 * knew takes the owner's room until it expires. Where the room is not enough for both, it gives way: it was asked for in the same
 * words, its client may not have heard of it, and no request has written to it since. Two uploads that are alike on purpose are not
 * touched: their clients know them.
 */
import { asOwner } from '../access.ts'
import type { Background } from '../background.ts'
import type { Repeat } from '../engine.ts'
import { isRefusal, type UploadError } from '../errors.ts'
import type { Ends } from '../finish/ends.ts'
import type { Asked, Sessions } from '../ports.ts'
import type { Actor, Session, Wish } from '../upload.ts'

export interface LostCreations {
  /** See `Engine.unheard`. */
  unheard(id: string, offset: number | null): void
  /** Resolves when what was said until now is recorded: the end of a connection is seen before its client can ask again. */
  recorded(): Promise<void>
  /** Ends an upload that `actor` asked for in the words of `wish` and never heard of, when that is why it is refused. */
  giveWayTo(actor: Actor, wish: Wish, refusal: unknown): Promise<boolean>
  /** What `wish` may be the repetition of, when there is no room for another; `null` when there is nothing, or there is room. */
  withoutRoom(actor: Actor, wish: Wish, refusal: unknown): Promise<{ session: Session; repeats: Repeat } | null>
}

/** Creations whose answers may have been lost, over one database. */
export function createLostCreations({
  sessions,
  ends,
  later,
}: { sessions: Sessions; ends: Ends } & Pick<Background, 'later'>): LostCreations {
  const marking = new Set<Promise<void>>()
  return {
    unheard(id, offset) {
      const mark = sessions.markUnheard(id, offset).finally(() => marking.delete(mark))
      marking.add(mark)
      later(mark, { uploadId: id, what: 'recording that an answer was lost' })
    },
    async recorded() {
      await Promise.allSettled(marking)
    },
    async giveWayTo(actor, wish, refusal) {
      if (!isFull(refusal)) return false
      const lost = await sessions.findUnheard(askedOf(actor, wish))
      if (lost) await ends.giveWay(lost.id, lost.offset, actor)
      return lost !== null
    },
    async withoutRoom(actor, wish, refusal) {
      if (!isFull(refusal) || !(wish.withBody || wish.size === 0)) return null
      const ids = await sessions.findRepeated(askedOf(actor, wish))
      const session = ids[0] !== undefined && (await sessions.find(ids[0]))
      return session ? { session, repeats: { ids, refusal } } : null
    },
  }
}

function isFull(refusal: unknown): refusal is UploadError {
  return isRefusal(refusal, 'QUOTA_EXCEEDED', 'RATE_LIMITED') && refusal.facts.rule !== 'creationsPerMinute'
}

function askedOf(actor: Actor, wish: Wish): Asked {
  return {
    ...asOwner(actor),
    role: actor.role,
    agent: actor.agent ?? null,
    filename: wish.filename.normalize('NFC'),
    size: wish.size,
    metadata: wish.metadata ?? null,
    fingerprint: wish.fingerprint ?? null,
    isPartial: wish.concat?.kind === 'partial',
    byChunks: wish.byChunks ?? false,
  }
}
