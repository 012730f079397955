import { AsyncLocalStorage } from 'node:async_hooks'
import { DataStore, Upload as TusUpload } from '@tus/server'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError, type UploadError } from '../../core/errors/error.ts'
import type { Actor, CreateUpload, Upload } from '../../core/upload.ts'
import type { Method } from './request.ts'

/** What travels beside a request through @tus/server, and what comes back beside its answer. */
export interface Call {
  actor: Actor
  method: Method
  /** What a POST wants. */
  creation: CreateUpload | null
  /**
   * The bytes of a PATCH, or of a POST that brings some. They are read from Node's own request: the streams of a web Request
   * cost more than the rest of the server.
   */
  chunk: AppendRequest | null
  /** The upload as the engine left it. */
  upload?: Upload
  /** Called as soon as there is an upload. */
  onBegun?: () => void
  /** What the engine refused with; @tus/server would only pass on a text. */
  thrown?: unknown
}

export const caller = new AsyncLocalStorage<Call>()

const extensions = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'expiration',
  'termination',
  'checksum',
  'checksum-trailer',
  'concatenation',
  'concatenation-unfinished',
]

/** @tus/server's idea of a store, with the engine behind it. It keeps nothing. */
export class EngineStore extends DataStore {
  readonly engine: Engine

  constructor(engine: Engine) {
    super()
    this.engine = engine
    this.extensions = extensions
  }

  override create(file: TusUpload): Promise<TusUpload> {
    return this.#ask(async (call) => {
      const firstChunkSize = call.chunk?.bodySize ?? undefined
      const created = await this.engine.create(call.actor, {
        ...call.creation!,
        withBody: call.chunk !== null,
        firstChunkSize,
      })
      call.upload = created
      if (call.chunk) call.chunk = { ...call.chunk, repeats: created.repeats }
      call.onBegun?.()
      file.id = created.id
      return file
    })
  }

  override getUpload(id: string): Promise<TusUpload> {
    return this.#ask(async (call) => {
      // What a PATCH claims is checked by the engine, under the lock, where alone the answer is true; here the claim is passed on.
      if (call.method === 'PATCH') return new TusUpload({ id, offset: call.chunk!.offset })
      const upload = await this.engine.status(call.actor, id)
      call.upload = upload
      return new TusUpload({ id, offset: upload.offset, ...(upload.size === null ? {} : { size: upload.size }) })
    })
  }

  override write(_stream: unknown, id: string): Promise<number> {
    return this.#ask(async (call) => {
      call.upload = call.method === 'POST' ? await this.#beginWith(call, id) : await this.#append(call, id)
      return call.upload.offset
    })
  }

  override remove(id: string): Promise<void> {
    return this.#ask((call) => this.engine.cancel(call.actor, id))
  }

  #append({ actor, chunk }: Call, id: string): Promise<Upload> {
    return this.engine.append(actor, id, chunk!)
  }

  /** A creation whose first bytes are refused leaves nothing half made: the client never learns its URL. */
  async #beginWith(call: Call, id: string): Promise<Upload> {
    // A file of no bytes is complete when it is created.
    if (call.upload!.state === 'completed') return call.upload!
    try {
      return await this.#append(call, id)
    } catch (error) {
      if (isUploadError(error) && isTransient(error)) this.engine.markAnswerLost(id, null)
      else if (isUploadError(error)) await this.engine.cancel(call.actor, id, { endsAppend: true }).catch(() => {})
      throw error
    }
  }

  async #ask<T>(work: (call: Call) => Promise<T>): Promise<T> {
    const call = caller.getStore()!
    try {
      return await work(call)
    } catch (error) {
      call.thrown = error
      throw error
    }
  }
}

/** Whether the same bytes may count later: the server is in trouble, or whoever sends was not allowed to end it this time. */
function isTransient({ status }: UploadError): boolean {
  return status >= 500 || status === 401 || status === 403
}
