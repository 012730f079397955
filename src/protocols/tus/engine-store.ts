import { AsyncLocalStorage } from 'node:async_hooks'
import { DataStore, Upload as TusUpload } from '@tus/server'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError, type UploadError } from '../../core/errors/error.ts'
import type { Actor, CreateUpload, Upload } from '../../core/upload.ts'
import type { Method } from './request.ts'

/** What a request passes to the engine past @tus/server, and what the engine passes back past its answer. */
export interface Call {
  actor: Actor
  method: Method
  /** The creation request of a POST. */
  creation: CreateUpload | null
  /**
   * The bytes of a PATCH, or of a POST that brings some. The engine reads them from Node's own request: the streams of a web Request
   * cost more than the rest of the server.
   */
  append: AppendRequest | null
  /** The upload as the engine left it. */
  upload?: Upload
  /** Called as soon as the upload is created. */
  onCreated?: () => void
  /** The error that the engine threw: @tus/server passes on its text only. */
  thrown?: unknown
}

export const currentCall = new AsyncLocalStorage<Call>()

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

/** A data store of @tus/server that passes every call to the engine and has no state of its own. */
export class EngineStore extends DataStore {
  readonly engine: Engine

  constructor(engine: Engine) {
    super()
    this.engine = engine
    this.extensions = extensions
  }

  override create(file: TusUpload): Promise<TusUpload> {
    return this.#withCall(async (call) => {
      const firstChunkSize = call.append?.bodySize ?? undefined
      const created = await this.engine.create(call.actor, {
        ...call.creation!,
        withBody: call.append !== null,
        firstChunkSize,
      })
      call.upload = created
      if (call.append) call.append = { ...call.append, repeats: created.repeats }
      call.onCreated?.()
      file.id = created.id
      return file
    })
  }

  override getUpload(id: string): Promise<TusUpload> {
    return this.#withCall(async (call) => {
      // Only the lock holder reads an offset that cannot change any more. The engine checks the offset of a PATCH under that lock, so
      // @tus/server is given the offset that the client sent.
      if (call.method === 'PATCH') return new TusUpload({ id, offset: call.append!.offset })
      const upload = await this.engine.status(call.actor, id)
      call.upload = upload
      return new TusUpload({ id, offset: upload.offset, ...(upload.size === null ? {} : { size: upload.size }) })
    })
  }

  override write(_stream: unknown, id: string): Promise<number> {
    return this.#withCall(async (call) => {
      call.upload = call.method === 'POST' ? await this.#appendFirst(call, id) : await this.#append(call, id)
      return call.upload.offset
    })
  }

  override remove(id: string): Promise<void> {
    return this.#withCall((call) => this.engine.cancel(call.actor, id))
  }

  #append({ actor, append }: Call, id: string): Promise<Upload> {
    return this.engine.append(actor, id, append!)
  }

  /** Cancels an upload whose first bytes are rejected: the client never learns its URL and could not resume it. */
  async #appendFirst(call: Call, id: string): Promise<Upload> {
    // An empty file is complete when it is created.
    if (call.upload!.state === 'completed') return call.upload!
    try {
      return await this.#append(call, id)
    } catch (error) {
      if (isUploadError(error) && isTransient(error)) this.engine.markAnswerLost(id, null)
      else if (isUploadError(error)) await this.engine.cancel(call.actor, id, { endsAppend: true }).catch(() => {})
      throw error
    }
  }

  async #withCall<T>(work: (call: Call) => Promise<T>): Promise<T> {
    const call = currentCall.getStore()!
    try {
      return await work(call)
    } catch (error) {
      call.thrown = error
      throw error
    }
  }
}

/** Whether the server may accept the same bytes later: it failed itself, or the client was not allowed to complete the upload this time. */
function isTransient({ status }: UploadError): boolean {
  return status >= 500 || status === 401 || status === 403
}
