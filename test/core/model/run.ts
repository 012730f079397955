import type { RunningEngine } from '../../../src/core/engine.ts'
import { type ErrorCode, UploadError } from '../../../src/core/errors/error.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { Node } from './faulty-node.ts'
import { checkError, type KnownUpload, type Snapshot, snapshot, Violation } from './known-upload.ts'
import type { World } from './world.ts'

export interface Operation<T> {
  /** For the trace. */
  what: string
  work(engine: RunningEngine): Promise<T>
  /** Checks the answer against the model. */
  check?(answer: T, was: Snapshot): void
  /** Errors that only this operation can have. */
  expected?: ErrorCode[]
  /** Not given: either of the two. */
  node?: Node
}

// A request may wait for two leases, a part lock and a completion, each of them on a paused node.
const longestMs = 20_000

/**
 * Runs an operation on an upload and checks its answer or error against the model. Resolves with `null` when the node died before it
 * answered.
 * @throws Violation
 */
export async function run<T>(
  world: World,
  random: Seeded,
  known: KnownUpload,
  operation: Operation<T>,
): Promise<{ answer: T } | { error: UploadError } | null> {
  const { what, work, check, expected } = operation
  const node = operation.node ?? (await world.node(random))
  const was = snapshot(known)
  const label = `${known.name} ${what}`
  world.log(`${label} …`)
  const answered = work(node.engine).then(
    (answer) => ({ answer }),
    (thrown: unknown) => ({ thrown }),
  )
  const outcome = await Promise.race([answered, node.died.then(() => null), tooLong()])
  if (outcome === 'too long') throw new Violation(`${label}: no answer`)
  if (outcome === null) {
    world.log(`${label}: the node died`)
    return null
  }
  try {
    if ('thrown' in outcome) {
      world.log(`${label}: ${describeError(outcome.thrown)}`)
      return { error: checkError(known, outcome.thrown, was, world, expected) }
    }
    world.log(`${label}: ${describeAnswer(outcome.answer)}`)
    check?.(outcome.answer, was)
    return outcome
  } catch (error) {
    if (error instanceof Violation) error.message = `${label}: ${error.message}`
    throw error
  }
}

function tooLong(): Promise<'too long'> {
  return new Promise((resolve) => {
    setTimeout(resolve, longestMs, 'too long' as const).unref()
  })
}

function describeError(error: unknown): string {
  const { message, cause } = error as Error
  const code = error instanceof UploadError ? error.code : 'outside the error table'
  return `${code} ${message}${cause instanceof Error ? ` because ${cause.message}` : ''}`
}

function describeAnswer(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return String(answer)
  if ('upload' in answer) return describeAnswer(answer.upload)
  if ('state' in answer && 'offset' in answer) return `${String(answer.state)} at ${String(answer.offset)}`
  return 'done'
}
