/*
 * One part of a body.
 *
 *   filling    takes bytes
 *   spilling   takes bytes, while those it had are being written to a tail object
 *   deferred   full. A part is recorded under its number and must stay what it is until a digest is verified: all bytes wait as tail
 *              objects
 *   sending    on its way to the store. After a failure it stays here: the tail objects that the row names still hold its bytes
 *   stored     the store has confirmed it
 *
 *   filling ⇄ spilling      filling | spilling → deferred → sending      filling | spilling → sending → stored
 */
import type { Bytes } from '../ports/object-store.ts'
import type { StoredPart } from '../upload.ts'
import type { PartBuffer } from './part-buffer.ts'

export type PartState =
  | { name: 'filling' | 'spilling' | 'deferred' | 'sending' }
  | { name: 'stored'; receipt: StoredPart }

/** The states that may follow each one. */
export const partTransitions: Record<PartState['name'], PartState['name'][]> = {
  filling: ['spilling', 'deferred', 'sending'],
  spilling: ['filling', 'deferred', 'sending'],
  deferred: ['sending'],
  sending: ['stored'],
  stored: [],
}

export class Part {
  readonly number: number
  readonly buffer: PartBuffer
  #state: PartState = { name: 'filling' }

  constructor(number: number, buffer: PartBuffer) {
    this.number = number
    this.buffer = buffer
  }

  get state(): PartState['name'] {
    return this.#state.name
  }

  /** What the store confirmed; `null` until it has. */
  get receipt(): StoredPart | null {
    return this.#state.name === 'stored' ? this.#state.receipt : null
  }

  /** filling → spilling → filling. A part that does not fill is left as it is. */
  async spill(): Promise<void> {
    if (this.state === 'filling') this.#become({ name: 'spilling' })
    if (this.state !== 'spilling') return
    try {
      await this.buffer.spill()
    } finally {
      // It may have become full meanwhile.
      if (this.state === 'spilling') this.#become({ name: 'filling' })
    }
  }

  /** filling | spilling → deferred. Resolves when all bytes are in tail objects. */
  async defer(): Promise<void> {
    const isSpilling = this.state === 'spilling'
    this.#become({ name: 'deferred' })
    if (isSpilling) await this.buffer.spill()
    await this.buffer.spill()
  }

  /** filling | spilling | deferred → sending → stored, with what `write` returns. The memory is given back however it ends. */
  async send(write: (bytes: Bytes) => Promise<StoredPart>): Promise<void> {
    this.#become({ name: 'sending' })
    const bytes = this.buffer.seal()
    try {
      const receipt = await write(bytes)
      this.buffer.detach()
      this.#become({ name: 'stored', receipt })
    } finally {
      this.buffer.release()
    }
  }

  #become(state: PartState): void {
    if (!partTransitions[this.state].includes(state.name))
      throw new Error(`a part that is ${this.state} does not become ${state.name}`)
    this.#state = state
  }
}
