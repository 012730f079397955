import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { Bandwidth } from './bandwidth.ts'
import type { BodyGate } from './body-gate.ts'

/** A body that this server is reading. */
export interface ActiveBody {
  uploadId: string
  /** `null`: it is appended, under the lease. */
  partNumber: number | null
  /** Aborted with the error that its request is answered with, or a promise of it, or the reason of the lease's signal. */
  stop: AbortController
  /** `performance.now()` */
  lastByteAt: number
}

/** All bodies that this server is reading, and what limits them. */
export interface ActiveBodies {
  readonly gate: BodyGate
  readonly bandwidth: Bandwidth
  readonly all: Set<ActiveBody>
  /** Aborted when the server begins to stop. */
  readonly draining: AbortController
}

/** Ends the parts of upload `id` that are being read here; their requests are answered with `error` once it is known. */
export function stopParts({ all }: ActiveBodies, id: string, error: Promise<UploadError>): void {
  for (const body of all) if (body.uploadId === id && body.partNumber !== null) body.stop.abort(error)
}

/** Ends every body, which saves what arrived, and refuses new ones: the server stops. */
export function drainBodies({ all, draining }: ActiveBodies): void {
  draining.abort()
  for (const body of all) body.stop.abort(errors.shuttingDown())
}

/** @throws UploadError SHUTTING_DOWN once the server has begun to stop */
export function assertNotDraining({ draining }: ActiveBodies): void {
  if (draining.signal.aborted) throw errors.shuttingDown()
}
