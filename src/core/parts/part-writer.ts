/*
 * The part writer turns a stream of bytes into parts of one size and a tail.
 *
 * Bytes are collected by reference into the current part. A part that is full is sent to the store while the next one fills; several
 * may be on their way, and the store may have them in any order. The row always names a run without a gap from the start: parts, then the
 * tail objects of the first part that is not stored. A tail object is a private object with bytes that do not fill a part. It is written
 * when a body ends in the middle of a part, or earlier when memory runs short, and removed only after the row names what replaced it.
 *
 * While a digest is awaited, a full part whose number is recorded already is deferred instead of sent, and nothing is recorded. The states
 * of a part are in part.ts.
 *
 * A file that fits into one part never becomes a multipart upload: its bytes wait until the end is known and are then written as one
 * object.
 */
import type { BudgetUser } from '../memory/memory-budget.ts'
import type { Bytes, WrittenObject } from '../ports/object-store.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import { type StoredPart, tailSize } from '../upload.ts'
import type { BodyWriter, ClosedBody } from './body-writer.ts'
import { InFlight } from './in-flight.ts'
import { leasedTails } from './leased-tails.ts'
import { Multipart } from './multipart.ts'
import { Part } from './part.ts'
import { type BufferResources, PartBuffer } from './part-buffer.ts'
import type { PartWriterOptions } from './part-writer-options.ts'
import { progressPatch } from './progress-patch.ts'
import { ProgressRecorder } from './progress-recorder.ts'
import { putObject } from './put-object.ts'

/** A save in the middle of the body, after its end, or after its end with the release of the lease. */
type SaveMoment = 'reading' | 'ended' | 'released'

/**
 * A writer that continues at the offset of the lease's upload. The prefix that the row keeps is not in the store yet: the caller brings
 * those bytes again, first.
 */
export class PartWriter implements BodyWriter {
  readonly #options: PartWriterOptions
  readonly #resources: BufferResources
  readonly #inFlight: InFlight
  readonly #multipart: Multipart
  readonly #recorder: ProgressRecorder
  readonly #budgetUser: BudgetUser
  readonly #leave: () => void
  /** A part that needs more memory than this is spilled while it fills. */
  readonly #spillAt: number
  readonly #fitsInMemory: boolean
  /** From the first one that is not recorded to the one that fills. */
  readonly #parts: Part[]
  #current: Part
  #position: number
  /** All recorded parts of the file, when it began with this body. */
  readonly #recorded: StoredPart[] | null

  constructor(options: PartWriterOptions) {
    const { store, lease, budget, cache, partSize, canDetach } = options
    const { upload } = lease
    this.#options = options
    this.#spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 16))
    this.#fitsInMemory = partSize <= Math.max(this.#spillAt, budget.limit / 8)
    const tails = leasedTails(lease, store, options.nextTailKey)
    this.#resources = { store, budget, cache, tails, joinBelow: this.#spillAt, canDetach, canCache: true }
    this.#inFlight = new InFlight(options.partsInFlight)
    this.#multipart = new Multipart(lease, store, partSize)
    this.#recorder = new ProgressRecorder(
      () => this.#save('reading'),
      (error) => this.#inFlight.fail(error),
    )
    this.#position = upload.offset - (upload.prefix?.length ?? 0)
    const number = Math.floor((upload.offset - tailSize(upload)) / partSize) + 1
    this.#recorded = number === 1 ? [] : null
    this.#current = new Part(number, new PartBuffer(this.#resources, upload.tail))
    this.#parts = [this.#current]
    this.#budgetUser = {
      waitingSince: performance.now(),
      missingBytes: () => Math.min(partSize - this.#current.buffer.size, this.#missingBytes()),
      spillable: () => (this.#canSpill() ? this.#current.buffer.inMemory : 0),
      spill: () => this.#spill(),
    }
    this.#leave = budget.join(this.#budgetUser)
  }

  get position(): number {
    return this.#position
  }

  take(chunk: Buffer): Promise<void> | null {
    if (this.#inFlight.hasFailed) return this.#waitForRoom()
    const { partSize, budget } = this.#options
    if (this.#current.buffer.inMemory === 0) this.#budgetUser.waitingSince = performance.now()
    this.#position += chunk.length
    for (let from = 0; from < chunk.length; ) {
      if (this.#current.buffer.size === partSize) this.#sendCurrent()
      const bytes = chunk.subarray(from, from + partSize - this.#current.buffer.size)
      this.#current.buffer.add(bytes)
      from += bytes.length
    }
    // Full, and more must come: no need to wait for it.
    const missing = this.#missingBytes()
    if (this.#current.buffer.size === partSize && missing > 0 && missing < Number.POSITIVE_INFINITY) this.#sendCurrent()
    const hasCapacity = !this.#inFlight.isFull && !this.#mustSpill() && !budget.isFull(this.#budgetUser)
    return hasCapacity ? null : this.#waitForRoom()
  }

  async flush(): Promise<void> {
    await this.#settle()
    await this.#sendDeferred()
    if (!this.#inFlight.hasFailed) await this.#spill()
    this.#release()
    this.#recorder.stop()
    // After a failure the lease is still needed, because the loss of the upload may have to be recorded.
    await this.#save(this.#inFlight.hasFailed ? 'ended' : 'released')
    this.#inFlight.assertNoFailure()
  }

  async close(ending: () => UploadPatch = () => ({})): Promise<ClosedBody> {
    await this.#settle()
    try {
      const isWholeFile = this.#current.number === 1 && this.#multipart.id === null
      if (isWholeFile && !this.#inFlight.hasFailed) return { object: await this.#putWholeFile() }
      await this.#sendDeferred()
      if (this.#current.buffer.size > 0 && !this.#inFlight.hasFailed) this.#send(this.#current)
      await this.#inFlight.settled()
      this.#recorder.stop()
      await this.#save('ended', this.#inFlight.hasFailed ? {} : ending())
      this.#inFlight.assertNoFailure()
      return { object: null, parts: this.#recorded }
    } finally {
      this.#release()
    }
  }

  async discard(): Promise<void> {
    await this.#settle()
    this.#release()
    this.#options.lease.ledger.drop(this.#parts.flatMap(tailKeysOf))
  }

  /** Bytes of the file that have not arrived; infinite while its length is unknown. */
  #missingBytes(): number {
    return (this.#options.size ?? Number.POSITIVE_INFINITY) - this.#position
  }

  /** A part that would take too much of the budget goes to the store in tail objects and is read back from there. */
  #mustSpill(): boolean {
    return !this.#fitsInMemory && this.#current.buffer.inMemory >= this.#spillAt
  }

  async #waitForRoom(): Promise<void> {
    await this.#inFlight.slot()
    if (this.#mustSpill() && !this.#inFlight.hasFailed) await this.#spill()
    if (!this.#inFlight.hasFailed) await this.#options.budget.waitForRoom(this.#budgetUser)
    this.#inFlight.assertNoFailure()
  }

  #canSpill(): boolean {
    return this.#current.state === 'filling' && !this.#inFlight.hasFailed
  }

  /** Never rejects. */
  #spill(): Promise<void> {
    const spilled = this.#current.spill().then(() => this.#saveSoon())
    return this.#inFlight.track(spilled)
  }

  #sendCurrent(): void {
    const { awaitsDigest, existingParts } = this.#options
    const full = this.#current
    if (awaitsDigest && existingParts.has(full.number)) this.#inFlight.send(() => full.defer())
    else this.#send(full)
    this.#current = new Part(full.number + 1, new PartBuffer(this.#resources))
    this.#parts.push(this.#current)
  }

  /** The digest is verified: the deferred parts replace the recorded ones. */
  async #sendDeferred(): Promise<void> {
    for (const part of this.#parts) {
      if (part.state !== 'deferred') continue
      await this.#inFlight.slot()
      if (this.#inFlight.hasFailed) break
      this.#send(part)
    }
    await this.#inFlight.settled()
  }

  #send(part: Part): void {
    this.#inFlight.send(async () => {
      await part.send((bytes) => this.#upload(part.number, bytes))
      this.#saveSoon()
    })
  }

  async #upload(number: number, bytes: Bytes): Promise<StoredPart> {
    const { store, lease, existingParts } = this.#options
    await lease.confirm()
    const multipartId = await this.#multipart.open()
    if (existingParts.delete(number)) {
      // In turn with the saves: the lease takes one statement at a time.
      await this.#recorder.inTurn(() => lease.save({ forget: [number] }))
      this.#inFlight.assertNoFailure()
    }
    return store.uploadPart(lease.upload.key, multipartId, number, bytes)
  }

  async #putWholeFile(): Promise<WrittenObject> {
    const { lease, store } = this.#options
    const info = await putObject(lease, this.#current.buffer.seal(), store)
    this.#current.buffer.detach()
    lease.ledger.drop(tailKeysOf(this.#current))
    return info
  }

  #saveSoon(): void {
    if (!this.#options.awaitsDigest && !this.#inFlight.hasFailed) this.#recorder.soon()
  }

  /** Saves the progress and `more`, if there is either. */
  async #save(moment: SaveMoment, more: UploadPatch = {}): Promise<void> {
    const { lease, size, partSize, expiryPatch, onRecorded } = this.#options
    const parts = this.#parts.map(recordableOf)
    const multipartId = this.#multipart.id
    const progress = progressPatch(lease.upload, { parts, multipartId, size, hasEnded: moment !== 'reading' })
    if (progress === null && Object.keys(more).length === 0) return
    this.#recorder.began()
    const release = moment === 'released' ? { release: true } : {}
    await lease.save({ ...expiryPatch(), partSize, ...progress?.patch, ...release, ...more })
    if (progress === null) return
    lease.ledger.drop(progress.replaced)
    this.#parts.splice(0, progress.patch.parts.length)
    this.#recorded?.push(...progress.patch.parts)
    onRecorded(progress.patch.offset)
  }

  /** Waits for everything that is on its way to the store or the database. */
  async #settle(): Promise<void> {
    this.#leave()
    await this.#inFlight.settled()
    await this.#recorder.stopped()
  }

  /** Gives the memory of parts back that are not sent. */
  #release(): void {
    for (const part of this.#parts) part.buffer.release()
  }
}

function recordableOf({ receipt, buffer }: Part) {
  return { stored: receipt, tailObjects: buffer.tailObjects }
}

function tailKeysOf({ buffer }: Part): string[] {
  return buffer.tailObjects.map(({ key }) => key)
}
