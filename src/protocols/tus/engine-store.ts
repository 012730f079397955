import { AsyncLocalStorage } from 'node:async_hooks'
import { DataStore, Upload as TusUpload } from '@tus/server'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError, type UploadError } from '../../core/errors/error.ts'
import type { Actor, CreateUpload, SentUpload, Upload } from '../../core/upload.ts'
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
  /** The append of the bytes that a POST brings. */
  appending?: Promise<Upload>
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
      const { actor, creation, append } = call
      if (append && creation!.kind !== 'final') await this.#createWithBody(call, creation!, append)
      else noteCreated(call, await this.engine.create(actor, creation!))
      file.id = call.upload!.id
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
      call.upload = await (call.method === 'POST'
        ? this.#whenAppended(call, id)
        : this.engine.append(call.actor, id, call.append!))
      return call.upload.offset
    })
  }

  override remove(id: string): Promise<void> {
    return this.#withCall((call) => this.engine.cancel(call.actor, id))
  }

  /** Resolves when the upload is created; its body is appended meanwhile, and `write` waits for that. */
  #createWithBody(call: Call, creation: CreateUpload & Partial<SentUpload>, append: AppendRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const firstChunkSize = append.bodySize ?? undefined
      call.appending = this.engine.createWithBody(call.actor, { ...creation, firstChunkSize }, (created) => {
        noteCreated(call, created)
        resolve()
        return append
      })
      // Of an error after the creation `write` learns.
      call.appending.catch(reject)
    })
  }

  /** Cancels an upload whose first bytes are rejected: the client never learns its URL and could not resume it. */
  async #whenAppended(call: Call, id: string): Promise<Upload> {
    try {
      return await call.appending!
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

function noteCreated(call: Call, created: Upload): void {
  call.upload = created
  call.onCreated?.()
}

/** Whether the server may accept the same bytes later: it failed itself, or the client was not allowed to complete the upload this time. */
function isTransient({ status }: UploadError): boolean {
  return status >= 500 || status === 401 || status === 403
}
