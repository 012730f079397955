import type { FastifyRequest } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import type { ResumeTokens } from '../../http/identity/resume.ts'
import { addressFor } from '../../http/location.ts'

/** The options of the plugin. */
export interface RufhOptions {
  engine: Engine
  /** The path at which uploads are created, such as `/files`. The URL of an upload is `path/id`, in every protocol. */
  path: string
  /** The public URL that `Location` starts with; `undefined` makes `Location` relative. */
  publicUrl: string | undefined
  /** The largest file that any role may send, for clients that ask without a token. */
  maxSize: () => number
  /** Makes the token with which the client that created an upload can resume it. */
  resumeTokens?: ResumeTokens | undefined
  /** The least time between two interim responses with progress. Default: a second. */
  progressEveryMs?: number
  /** Whether 104 is sent. `auto`, the default: to clients that reach the server without a proxy. */
  interimResponses?: InterimResponses
}

export type InterimResponses = 'auto' | 'always' | 'never'

/** A request to the URL of one upload. */
export type UploadRequest = FastifyRequest<{ Params: { id: string } }>

/** The URL of upload `id`: the same in every answer to one request. */
export function addressOf({ publicUrl, path }: RufhOptions, request: FastifyRequest, id: string): string {
  return addressFor(request, `${path}/${id}`, publicUrl)
}
