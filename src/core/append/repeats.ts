/*
 * A request that creates an upload and brings the whole file may be answered into a connection that is gone. Its client sends the same
 * once more: that is the same file, and becomes no second one. What tells it from a file that is sent twice on purpose: the earlier
 * answer may have been lost, the words of both requests are the same, and so are their bytes. The earlier upload is complete and its
 * listeners were told, so it stays, and the later one ends before it is complete.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Append, Engine, Repeat } from '../engine.ts'
import { isRefusal, type UploadError } from '../errors.ts'
import { readDigests } from '../finish/file-digest.ts'
import { ObjectMissing, type ObjectStore, type Sessions } from '../ports.ts'
import type { Actor, Session } from '../upload.ts'
import { stillFinishing } from './append-refusals.ts'
import { type BodyReading, readBody } from './body.ts'

/** Finds the upload that a whole body has become before. */
export interface Repeats {
  /**
   * The one of `ids`, which its client knows from then on, that is complete and made of just these bytes; `null` when none is.
   * @throws UploadError STORE_UNAVAILABLE while that cannot be told yet
   */
  find(actor: Actor, ids: string[], body: Body): Promise<Session | null>
  /**
   * Reads a body of which nothing is kept, because there is no room for another upload, and returns the upload that it has become before.
   * @throws UploadError the refusal of `repeat` when it is another file
   */
  readAgain(
    actor: Actor,
    chunk: Append,
    repeat: Refused,
    reading: Omit<BodyReading, 'limit' | 'take'>,
  ): Promise<Session>
}

/** What a whole body was. */
export interface Body {
  size: number
  /** In Base64. */
  sha256: string
}

/** A creation that was refused, unless it is the repetition of one that was not. */
export type Refused = Repeat & { refusal: UploadError }

/** What tells one whole body from another. */
export function hashOfBody(): Hash {
  return createHash('sha256')
}

/** Repetitions over one database and one store. */
export function createRepeats({
  sessions,
  store,
  describe,
}: { sessions: Sessions; store: ObjectStore } & Pick<Engine, 'describe'>): Repeats {
  async function isMadeOf(actor: Actor, id: string, body: Body): Promise<boolean> {
    const upload = await describe(actor, id, 'later').catch((error: unknown) => {
      if (isRefusal(error, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST')) return null
      // The earlier request still makes the file.
      throw isRefusal(error, 'UPLOAD_LOCKED') ? stillFinishing() : error
    })
    if (upload?.state !== 'completed' || upload.size !== body.size) return false
    const asked = { expected: {}, wanted: ['sha-256' as const], actual: upload.digests?.actual ?? {} }
    const digests = await readDigests(asked, store, upload.key).catch((error: unknown) => {
      if (error instanceof ObjectMissing) return null
      throw error
    })
    return digests?.actual['sha-256'] === body.sha256
  }

  async function find(actor: Actor, ids: string[], body: Body): Promise<Session | null> {
    for (const id of ids) {
      if (!(await isMadeOf(actor, id, body))) continue
      await sessions.markHeard(id)
      return sessions.find(id)
    }
    return null
  }

  return {
    find,
    async readAgain(actor, chunk, { ids, refusal }, reading) {
      // A body that is longer than every one of them is another file; the rest of it need not be read.
      const limit = Math.max(0, ...(await sessions.findAll(ids)).map((session) => session.size ?? 0))
      const hash = hashOfBody()
      let size = 0
      const end = await readBody(chunk.body, {
        ...reading,
        limit,
        take(bytes) {
          size += bytes.length
          chunk.digest?.update(bytes)
          hash.update(bytes)
          return null
        },
      })
      if (end !== 'clean' && size !== chunk.bodySize) throw refusal
      chunk.digest?.verify()
      return (await find(actor, ids, { size, sha256: hash.digest('base64') })) ?? Promise.reject(refusal)
    },
  }
}
