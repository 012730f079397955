/*
 * Saves the progress of a body: one statement at a time, and at most every quarter of a second while bytes arrive. Only what is
 * acknowledged must be recorded, so in the middle of a body a save now and then is enough.
 */

/** The saves of one body. The first failure is reported, and the caller stops. */
export class ProgressRecorder {
  readonly #save: () => Promise<void>
  readonly #onError: (error: unknown) => void
  readonly #everyMs: number
  #timer: NodeJS.Timeout | null = null
  #lastAt = Number.NEGATIVE_INFINITY
  #saving: Promise<void> = Promise.resolve()

  /** @param save writes the progress there is; called by the timer only */
  constructor(save: () => Promise<void>, onError: (error: unknown) => void, everyMs = 250) {
    this.#save = save
    this.#onError = onError
    this.#everyMs = everyMs
  }

  /** Saves soon, unless a save is due already. */
  soon(): void {
    if (this.#timer) return
    const waitMs = Math.max(0, this.#lastAt + this.#everyMs - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = null
      void this.inTurn(this.#save)
    }, waitMs)
  }

  /** Notes that a save begins: the next one is due a while later. */
  began(): void {
    this.#lastAt = performance.now()
  }

  /** Runs another statement of the lease after the saves before it. Resolves when it is done, also when it failed. */
  inTurn(statement: () => Promise<void>): Promise<void> {
    this.#saving = this.#saving.then(statement).catch(this.#onError)
    return this.#saving
  }

  /** From here on the caller decides when the progress is saved. */
  stop(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Stops, and resolves when the save that runs is over. */
  async stopped(): Promise<void> {
    this.stop()
    await this.#saving
  }
}
