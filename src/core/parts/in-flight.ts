/*
 * What a body has on its way to the store, until its first failure. Parts take a slot each, of which there are only some.
 */

/** The work of one body that runs beside its reading. */
export class InFlight {
  readonly #slots: number
  readonly #running = new Set<Promise<void>>()
  #taken = 0
  #failure: { error: unknown } | null = null
  #waiting: (() => void)[] = []

  constructor(slots: number) {
    this.#slots = slots
  }

  get hasFailed(): boolean {
    return this.#failure !== null
  }

  get isFull(): boolean {
    return this.#taken >= this.#slots
  }

  /** @throws the first error, if there was one */
  assertNoFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  /** Runs `work`, which takes a slot; does not wait for a free one. */
  send(work: () => Promise<void>): void {
    this.#taken += 1
    void this.track(work()).finally(() => {
      this.#taken -= 1
      this.#wake()
    })
  }

  /** Waits for `work` as well when it waits for everything. Never rejects. */
  track(work: Promise<void>): Promise<void> {
    const tracked = work.catch((error: unknown) => this.fail(error)).finally(() => this.#running.delete(tracked))
    this.#running.add(tracked)
    return tracked
  }

  /** Resolves when a slot is free, or after a failure. */
  async slot(): Promise<void> {
    while (this.isFull && !this.hasFailed) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
