import type { NewStep } from '../../core/content.ts'

/** The file that a step works on. */
export interface StepFile {
  /** Of its content and its upload. */
  id: string
  tenant: string | null
  ownerId: string
  key: string
  name: string
  contentType: string
  /** Bytes. */
  size: number
}

/** What a step is given. */
export interface StepWork {
  file: StepFile
  /** The bytes of the file, from the store. */
  read(): AsyncIterable<Buffer>
  /** Aborted when the step takes too long, or is not this worker's any more. */
  signal: AbortSignal
}

/** What a step found. `result` is kept for the timeline. */
export type Ending = { result?: Record<string, unknown>; digests?: { sha256: Buffer; crc32: number } } & (
  | { outcome: 'pass' }
  /** A person has to decide. */
  | { outcome: 'hold'; reason: string }
  /** The content is quarantined. */
  | { outcome: 'reject'; reason: string }
  | { outcome: 'fail'; reason: string; canRetry: boolean }
)

/** Work that follows an upload. It may run more than once for the same content: it must have the same effect as once. */
export interface Step extends NewStep {
  timeoutMs: number
  run(work: StepWork): Promise<Ending>
}

const firstDelayMs = 5000
export const maxAttempts = 8
/** A step that ended its process so often is not tried again. */
export const maxCrashes = 3

/**
 * Milliseconds before the attempt that follows `attempts`: 5 s, 15 s, 45 s, …, each up to a fifth more or less, so that files which failed
 * together are not tried together.
 * @param random from 0 to 1
 */
export function retryDelayMs(attempts: number, random: number): number {
  return Math.round(firstDelayMs * 3 ** (attempts - 1) * (0.8 + 0.4 * random))
}
