/*
 * A client that did not hear the answer to a creation asks for the same once more, and gets a new upload. The one that it never
 * knew takes the owner's room until it expires. Where the room is not enough for both, it gives way: it was asked for in the same
 * words, its client may not have heard of it, and no request has written to it since. Two uploads that are alike on purpose are not
 * touched: their clients know them.
 */
import { asOwner } from '../access.ts'
import type { Background } from '../background.ts'
import { isRefusal } from '../errors.ts'
import type { Ends } from '../finish/ends.ts'
import type { Sessions } from '../ports.ts'
import type { Actor, Wish } from '../upload.ts'

export interface LostCreations {
  /** See `Engine.unheard`. */
  unheard(id: string, offset: number | null): void
  /** Ends an upload that `actor` asked for in the words of `wish` and never heard of, when that is why it is refused. */
  giveWayTo(actor: Actor, wish: Wish, refusal: unknown): Promise<boolean>
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
    async giveWayTo(actor, wish, refusal) {
      const isFull = isRefusal(refusal, 'QUOTA_EXCEEDED', 'RATE_LIMITED') && refusal.facts.rule !== 'creationsPerMinute'
      if (!isFull) return false
      // The end of the connection was seen before the client could ask again.
      await Promise.allSettled(marking)
      const lost = await sessions.findUnheard({
        ...asOwner(actor),
        role: actor.role,
        filename: wish.filename.normalize('NFC'),
        size: wish.size,
        metadata: wish.metadata ?? null,
        fingerprint: wish.fingerprint ?? null,
        isPartial: wish.concat?.kind === 'partial',
        byChunks: wish.byChunks ?? false,
      })
      if (lost) await ends.giveWay(lost.id, lost.offset, actor)
      return lost !== null
    },
  }
}
