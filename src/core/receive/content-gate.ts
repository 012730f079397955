/*
 * The first bytes of a file show what it is, and no byte goes to the store before they have. They may arrive one at a time, in requests
 * that are acknowledged one by one; until there are enough, the row keeps them as the upload's prefix. Then media type, category and
 * key are saved in one statement and the bytes go on to the store. A file that its owner may not send is refused, and the upload
 * has failed.
 *
 *   waiting   collects bytes until they are enough, or the file ends
 *   looking   looks at the collected bytes, while the body may end
 *   passing   gives the collected bytes to the writer. If the writer fails, the gate stays here: what failed is the writer's to tell
 *   open      bytes go straight to the writer
 *   refused   the owner may not send such a file. The rest of the body is read for its digest, and dropped
 *   failed    the type could not be detected or saved. The collected bytes are kept in the row all the same
 *
 *   waiting → looking → passing → open      looking → refused | failed
 */

import type { EngineContext } from '../engine-context.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import type { Lease } from '../lease.ts'
import type { BodyWriter, ClosedBody } from '../parts/body-writer.ts'
import type { ContentCheck } from '../policy/content-check.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import { failUpload } from '../transitions/fail.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { inspectedTypePatch } from './detected-type.ts'

/** What one body asks of the gate. */
export interface GateRequest {
  /** `null`: the bytes that the row keeps pass unseen. */
  content: ContentCheck | null
  size: number | null
  /** An error waits for the digest: the bytes that are rejected may be those of a transmission error. */
  awaitsDigest: boolean
  /** Whose request this is; `null`: the server's own work. */
  by: Actor | null
  expiryPatch(): UploadPatch
  onRecorded(offset: number): void
}

type GateState =
  | { name: 'waiting' | 'looking' | 'passing' | 'open' }
  | { name: 'refused'; error: UploadError }
  | { name: 'failed'; error: unknown }

/** The states that may follow each one. */
export const gateTransitions: Record<GateState['name'], GateState['name'][]> = {
  waiting: ['looking'],
  looking: ['passing', 'refused', 'failed'],
  passing: ['open'],
  open: [],
  refused: [],
  failed: [],
}

/** A writer that must be at the beginning of the file, behind the gate. */
export class ContentGate implements BodyWriter {
  readonly #context: EngineContext
  readonly #writer: BodyWriter
  readonly #lease: Lease
  readonly #request: GateRequest
  /** Bytes that show the type, unless the file is shorter. */
  readonly #sniffLength: number
  /** The bytes that the writer has not been given. */
  readonly #collected: Buffer[]
  /** What the row said of the file before these bytes were looked at. */
  readonly #before: Pick<UploadRecord, 'contentType' | 'category' | 'key'>
  #state: GateState = { name: 'waiting' }
  /** `looking` and `passing`, once they have begun. */
  #opening: Promise<void> | null = null
  #position: number

  constructor(context: EngineContext, writer: BodyWriter, lease: Lease, request: GateRequest) {
    const { prefix, offset, contentType, category, key } = lease.upload
    this.#context = context
    this.#writer = writer
    this.#lease = lease
    this.#request = request
    this.#sniffLength = request.content?.sniffLength ?? 0
    // A copy: the writer gives back the memory of what it has stored.
    this.#collected = prefix ? [Buffer.from(prefix)] : []
    this.#before = { contentType, category, key }
    this.#position = offset
  }

  get state(): GateState['name'] {
    return this.#state.name
  }

  get position(): number {
    return this.#position
  }

  take(chunk: Buffer): Promise<void> | null {
    this.#position += chunk.length
    if (this.#opening === null) {
      this.#collected.push(chunk)
      return this.#hasEnough() ? this.#open() : null
    }
    if (this.state === 'looking' || this.state === 'passing')
      return this.#opening.then(() => this.#passOn(chunk) ?? undefined)
    return this.#passOn(chunk)
  }

  async flush(): Promise<void> {
    await this.#opening?.catch(() => {})
    if (this.#state.name === 'refused') await this.#refuse(this.#state.error)
    await (this.#hasPassed() ? this.#writer.flush() : this.#keepCollected())
  }

  async close(ending?: () => UploadPatch): Promise<ClosedBody> {
    await this.#open().catch(() => {})
    if (this.#state.name === 'refused') await this.#refuse(this.#state.error)
    if (!this.#hasPassed()) await this.#keepCollected()
    return this.#writer.close(ending)
  }

  async discard(): Promise<void> {
    await this.#opening?.catch(() => {})
    this.#collected.length = 0
    await this.#writer.discard()
    await this.#forgetType()
  }

  #hasEnough(): boolean {
    const size = this.#position - this.#writer.position
    return size >= Math.min(this.#sniffLength, this.#request.size ?? this.#sniffLength)
  }

  #hasPassed(): boolean {
    return this.state === 'passing' || this.state === 'open'
  }

  #passOn(chunk: Buffer): Promise<void> | null {
    if (this.#state.name === 'failed') return Promise.reject(this.#state.error as Error)
    return this.#state.name === 'refused' ? null : this.#writer.take(chunk)
  }

  /** Looks at the collected bytes and lets them pass; once. */
  #open(): Promise<void> {
    this.#opening ??= this.#look()
    return this.#opening
  }

  async #look(): Promise<void> {
    this.#become({ name: 'looking' })
    const rejection = await this.#detect().catch((error: unknown) => {
      this.#become({ name: 'failed', error })
      throw error
    })
    if (rejection) {
      this.#become({ name: 'refused', error: rejection })
      if (this.#request.awaitsDigest) return
      throw rejection
    }
    this.#become({ name: 'passing' })
    for (const chunk of this.#collected.splice(0)) await this.#writer.take(chunk)
    this.#become({ name: 'open' })
  }

  /** Saves the type that the collected bytes show. Returns why its owner may not send the file; `null`: they may. */
  async #detect(): Promise<UploadError | null> {
    const { content, by } = this.#request
    if (!content) return null
    const prefix = this.#prefix()
    const sniffed = await content.sniff(prefix)
    let patch: UploadPatch | null
    try {
      patch = await inspectedTypePatch(this.#context, content, this.#lease.upload, prefix, sniffed, by)
    } catch (error) {
      if (isUploadError(error) && error.status < 500) return error
      throw error
    }
    if (patch) await this.#lease.save(patch)
    return null
  }

  async #refuse(error: UploadError): Promise<never> {
    await this.#writer.discard()
    await failUpload(this.#lease, 'type', this.#request.by)
    throw error
  }

  /** Keeps bytes that are not enough yet, or could not be looked at, in the row. @throws why the gate has failed */
  async #keepCollected(): Promise<void> {
    const { expiryPatch, onRecorded } = this.#request
    await this.#writer.flush()
    const prefix = this.#prefix()
    if (prefix.length > (this.#lease.upload.prefix?.length ?? 0)) {
      await this.#lease.save({ ...expiryPatch(), prefix, offset: prefix.length, release: true })
      onRecorded(prefix.length)
    }
    if (this.#state.name === 'failed') throw this.#state.error
  }

  /** The collected bytes as far as they are looked at. */
  #prefix(): Buffer {
    return Buffer.concat(this.#collected).subarray(0, this.#sniffLength)
  }

  /**
   * A body that does not count says nothing of the file, unless the store has something of it that the row names: parts of a multipart
   * upload become an object of the type under which it was created, and stored first bytes are not looked at again.
   */
  async #forgetType(): Promise<void> {
    const { upload, ledger } = this.#lease
    const isStored = upload.multipartId !== null || upload.offset > (upload.prefix?.length ?? 0)
    if (isStored || upload.contentType === this.#before.contentType) return
    // A key under which an orphaned multipart upload may lie stays, so that the clean-up finds it.
    const key = ledger.mayHaveMultipart(upload.key) ? upload.key : this.#before.key
    await this.#lease.save({ ...this.#before, key })
  }

  #become(state: GateState): void {
    if (!gateTransitions[this.state].includes(state.name))
      throw new Error(`a gate that is ${this.state} does not become ${state.name}`)
    this.#state = state
  }
}
