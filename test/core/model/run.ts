import type { RunningEngine } from '../../../src/core/engine.ts'
import { type ErrorCode, UploadError } from '../../../src/core/errors/error.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { Node } from './faulty-node.ts'
import { type Before, before, checkError, type KnownUpload, Violation } from './known-upload.ts'
import type { World } from './world.ts'

export interface Operation<T> {
  /** For the story. */
  what: string
  work(engine: RunningEngine): Promise<T>
  /** Holds the answer against what is known. */
  check?(answer: T, was: Before): void
  /** Refusals that are an answer to just this. */
  expected?: ErrorCode[]
  /** Not given: any of the two. */
  node?: Node
}

// Two leases, a claim and a finish may be waited for, each on a node that is held up; nothing takes longer.
const longestMs = 20_000

/**
 * Asks something about an upload, and holds whatever is heard against what is known. `null`: there was no answer, because the node
 * has died, or it was refused.
 * @throws Violation
 */
export async function run<T>(
  world: World,
  random: Seeded,
  known: KnownUpload,
  question: Operation<T>,
): Promise<{ answer: T } | { refusal: UploadError } | null> {
  const { what, work, check, expected } = question
  const node = question.node ?? (await world.node(random))
  const was = before(known)
  const words = `${known.name} ${what}`
  world.say(`${words} …`)
  const asked = work(node.engine).then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  )
  const heard = await Promise.race([asked, node.died.then(() => null), tooLong()])
  if (heard === 'too long') throw new Violation(`${words}: no answer`)
  if (heard === null) {
    world.say(`${words}: the node died`)
    return null
  }
  try {
    if ('error' in heard) {
      world.say(`${words}: ${violation(heard.error)}`)
      return { refusal: checkError(known, heard.error, was, world, expected) }
    }
    world.say(`${words}: ${describeAnswer(heard.answer)}`)
    check?.(heard.answer, was)
    return heard
  } catch (error) {
    if (error instanceof Violation) error.message = `${words}: ${error.message}`
    throw error
  }
}

function tooLong(): Promise<'too long'> {
  return new Promise((resolve) => {
    setTimeout(resolve, longestMs, 'too long' as const).unref()
  })
}

function violation(error: unknown): string {
  const { message, cause } = error as Error
  const code = error instanceof UploadError ? error.code : 'no refusal'
  return `${code} ${message}${cause instanceof Error ? ` because ${cause.message}` : ''}`
}

function describeAnswer(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return String(answer)
  if ('upload' in answer) return describeAnswer(answer.upload)
  if ('state' in answer && 'offset' in answer) return `${String(answer.state)} at ${String(answer.offset)}`
  return 'done'
}
