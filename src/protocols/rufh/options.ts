import type { FastifyRequest } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import type { ResumeTokens } from '../../http/identity/resume.ts'
import { addressFor } from '../../http/location.ts'

/** What the plugin is made of. */
export interface RufhOptions {
  engine: Engine
  /** Where uploads are created, such as `/files`; the address of one is `path/id`, in every protocol. */
  path: string
  /** What stands before it in `Location`: the public URL, or nothing for a relative one. */
  publicUrl: string | undefined
  /** The largest file that any role may send, for those who ask before they say who they are. */
  maxSize: () => number
  /** Makes the token with which whoever begins an upload can go on with it. */
  resumeTokens?: ResumeTokens | undefined
  /** The least time between two interim answers that tell progress. Default: a second. */
  progressEveryMs?: number
  /** Whether 104 is sent; `auto`, the default: to clients that reached the server without a proxy. */
  interimResponses?: InterimResponses
}

export type InterimResponses = 'auto' | 'always' | 'never'

/** A request to the address of one upload. */
export type UploadRequest = FastifyRequest<{ Params: { id: string } }>

/** The address of upload `id`, the same in every answer to one request. */
export function addressOf({ publicUrl, path }: RufhOptions, request: FastifyRequest, id: string): string {
  return addressFor(request, `${path}/${id}`, publicUrl)
}
