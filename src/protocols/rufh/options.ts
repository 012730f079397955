import type { FastifyRequest } from 'fastify'
import type { Engine } from '../../core/engine.ts'

/** What the plugin is made of. */
export interface RufhOptions {
  engine: Engine
  /** Where uploads are created; the address of one is `path/id`. */
  path: string
  /** The address of an upload, the same as other protocols give it. */
  urlOf: (id: string) => string
  origins: '*' | string[]
  /** The least time between two interim answers that tell progress. Default: a second. */
  progressEveryMs?: number
}

/** A request to the address of one upload. */
export type UploadRequest = FastifyRequest<{ Params: { id: string } }>
