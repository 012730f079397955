/*
 * A request that creates an upload and brings the whole file may be answered into a connection that is gone. Its client sends the same
 * once more: that is the same file, and becomes no second one. What tells it from a file that is sent twice on purpose: the earlier
 * answer may have been lost, the words of both requests are the same, and so are their bytes. The earlier upload is complete and its
 * listeners were told, so it stays, and the later one ends before it is complete.
 */
import { createHash, type Hash } from 'node:crypto'
import { type ReceiveBodyOptions, receiveBody } from '../body/receive-body.ts'
import type { AppendRequest, Engine, Repeat } from '../engine.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import { readDigests } from '../file-digest.ts'
import { NoSuchKey, type ObjectStore, type UploadRepository } from '../ports.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { stillFinishing } from './append-errors.ts'

/** Finds the upload that a whole body has become before. */
export interface Repeats {
  /**
   * The one of `ids`, which its client knows from then on, that is complete and made of just these bytes; `null` when none is.
   * @throws UploadError STORE_UNAVAILABLE while that cannot be told yet
   */
  find(actor: Actor, ids: string[], body: Body): Promise<UploadRecord | null>
  /**
   * Reads a body of which nothing is kept, because there is no room for another upload, and returns the upload that it has become before.
   * @throws UploadError the refusal of `repeat` when it is another file
   */
  readAgain(
    actor: Actor,
    chunk: AppendRequest,
    repeat: Refused,
    reading: Omit<ReceiveBodyOptions, 'limit' | 'take'>,
  ): Promise<UploadRecord>
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
  sessions: uploads,
  store,
  status,
}: { sessions: UploadRepository; store: ObjectStore } & Pick<Engine, 'status'>): Repeats {
  async function isMadeOf(actor: Actor, id: string, body: Body): Promise<boolean> {
    const upload = await status(actor, id, 'later').catch((error: unknown) => {
      if (isUploadError(error, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST')) return null
      // The earlier request still makes the file.
      throw isUploadError(error, 'UPLOAD_LOCKED') ? stillFinishing() : error
    })
    if (upload?.state !== 'completed' || upload.size !== body.size) return false
    const asked = { expected: {}, wanted: ['sha-256' as const], actual: upload.digests?.actual ?? {} }
    const digests = await readDigests(asked, store, upload.key).catch((error: unknown) => {
      if (error instanceof NoSuchKey) return null
      throw error
    })
    return digests?.actual['sha-256'] === body.sha256
  }

  async function find(actor: Actor, ids: string[], body: Body): Promise<UploadRecord | null> {
    for (const id of ids) {
      if (!(await isMadeOf(actor, id, body))) continue
      await uploads.markHeard(id)
      return uploads.find(id)
    }
    return null
  }

  return {
    find,
    async readAgain(actor, chunk, { ids, refusal: error }, reading) {
      // A body that is longer than every one of them is another file; the rest of it need not be read.
      const limit = Math.max(0, ...(await uploads.findAll(ids)).map((upload) => upload.size ?? 0))
      const hash = hashOfBody()
      let size = 0
      const end = await receiveBody(chunk.body, {
        ...reading,
        limit,
        take(bytes) {
          size += bytes.length
          chunk.digest?.update(bytes)
          hash.update(bytes)
          return null
        },
      })
      if (end !== 'clean' && size !== chunk.bodySize) throw error
      chunk.digest?.verify()
      return (await find(actor, ids, { size, sha256: hash.digest('base64') })) ?? Promise.reject(error)
    },
  }
}
