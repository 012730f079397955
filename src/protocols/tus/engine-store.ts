import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import { DataStore, Upload as TusUpload } from '@tus/server'
import type { Digest, Engine } from '../../core/engine.ts'
import { isRefusal } from '../../core/errors.ts'
import type { Actor, Concat, Upload } from '../../core/upload.ts'
import { readMetadata } from './metadata.ts'

/** What travels beside a request through @tus/server, and what comes back beside its answer. */
export interface Call {
  actor: Actor
  method: string
  /** Node's own request: the body is read from here and not from the web Request, whose streams cost more than the rest of the server. */
  raw: IncomingMessage
  concat: Concat | null
  digest: Digest | undefined
  /** The upload as the engine left it. */
  upload?: Upload
  /** What the engine refused with; @tus/server would only pass on a text. */
  thrown?: unknown
}

export const caller = new AsyncLocalStorage<Call>()

export const extensions = [
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
      const { headers } = call.raw
      const metadata = headers['upload-metadata']
      const isFinal = call.concat?.kind === 'final'
      const upload = await this.engine.create(call.actor, {
        ...readMetadata(metadata as string | undefined),
        metadata: (metadata as string | undefined) ?? null,
        size: isFinal ? null : (file.size ?? null),
        concat: call.concat,
        firstChunkSize: sizeOfBody(call.raw) ?? undefined,
      })
      file.id = upload.id
      call.upload = upload
      return file
    })
  }

  override getUpload(id: string): Promise<TusUpload> {
    return this.#ask(async (call) => {
      // What a PATCH claims is checked by the engine, under the lock, where alone the answer is true; here the claim is passed on.
      if (call.method === 'PATCH') return new TusUpload({ id, offset: Number(call.raw.headers['upload-offset']) })
      const upload = await this.engine.describe(call.actor, id)
      call.upload = upload
      return new TusUpload({ id, offset: upload.offset, ...(upload.size === null ? {} : { size: upload.size }) })
    })
  }

  override write(_stream: unknown, id: string, offset: number): Promise<number> {
    return this.#ask(async (call) => {
      const told = call.method === 'PATCH' ? call.raw.headers['upload-length'] : undefined
      const upload = await this.engine
        .append(call.actor, id, {
          offset,
          body: call.raw,
          bodySize: sizeOfBody(call.raw),
          size: told === undefined ? undefined : Number(told),
          ending: 'at-size',
          digest: call.digest,
        })
        .catch(async (error: unknown) => {
          // A creation whose first bytes are refused leaves nothing half made: the client never learns its URL.
          if (call.method === 'POST' && isRefusal(error) && error.status < 500)
            await this.engine.cancel(call.actor, id).catch(() => {})
          throw error
        })
      call.upload = upload
      return upload.offset
    })
  }

  override async declareUploadLength(): Promise<void> {
    // Told with the bytes, in `write`.
  }

  override remove(id: string): Promise<void> {
    return this.#ask((call) => this.engine.cancel(call.actor, id))
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

/** What Content-Length says; `null` for chunked bodies. */
function sizeOfBody({ headers }: IncomingMessage): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? 0)
}
