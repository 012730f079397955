import { within } from '../../core/within.ts'
import type { Snapshot } from '../../telemetry/snapshots.ts'

const usualAnswerMs = 2000

interface Question {
  number: number
  answered(): void
}

/**
 * Collects the metrics of the workers in the primary. Of a worker that has ended, the counters of its last snapshot stay, so that no sum is
 * less than at an earlier scrape: Prometheus would take that for a restart.
 */
export class WorkerMetrics {
  readonly #ask: (number: number, id: number) => void
  readonly #add: (one: Snapshot, other: Snapshot) => Promise<Snapshot>
  readonly #answerMs: number
  readonly #latest = new Map<number, Snapshot>()
  readonly #questions = new Map<number, Question>()
  #ofEnded: Promise<Snapshot> = Promise.resolve([])
  #lastId = 0

  /**
   * @param ask sends worker `number` the question `id`, which `answered` answers
   * @param answerMs of a worker that is busy for longer, the values of the last scrape count
   */
  constructor(
    ask: (number: number, id: number) => void,
    add: (one: Snapshot, other: Snapshot) => Promise<Snapshot>,
    answerMs = usualAnswerMs,
  ) {
    this.#ask = ask
    this.#add = add
    this.#answerMs = answerMs
  }

  /** The snapshots of `others` and of the workers that have ended, for worker `number` whose own one is `own`. */
  async collect(number: number, own: Snapshot, others: number[]): Promise<Snapshot[]> {
    this.#latest.set(number, own)
    await Promise.all(others.map((other) => within(this.#snapshotOf(other), this.#answerMs)))
    return [...others.map((other) => this.#latest.get(other) ?? []), await this.#ofEnded]
  }

  /** A worker answers the question `id`. */
  answered(number: number, id: number, snapshot: Snapshot): void {
    this.#latest.set(number, snapshot)
    this.#questions.get(id)?.answered()
    this.#questions.delete(id)
  }

  /** A worker has ended, and answers no more. */
  ended(number: number): void {
    for (const [id, question] of this.#questions) {
      if (question.number !== number) continue
      this.#questions.delete(id)
      question.answered()
    }
    const last = this.#latest.get(number)
    if (!last) return
    this.#latest.delete(number)
    // Without the sum of these the metrics go back once; an error must not end the primary.
    this.#ofEnded = this.#ofEnded.then((counted) => this.#add(counted, last).catch(() => counted))
  }

  #snapshotOf(number: number): Promise<void> {
    return new Promise((answered) => {
      this.#lastId += 1
      this.#questions.set(this.#lastId, { number, answered })
      this.#ask(number, this.#lastId)
    })
  }
}
