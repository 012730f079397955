import type { FastifyInstance } from 'fastify'
import { decorateOwnRequests } from '../../http/request-decorator.ts'
import { type Dialect, dialectOf } from './versions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The draft of RUFH that the client speaks. In the scope of RUFH only. */
    readonly dialect: Dialect
    /** Whether the client knows the URL of its upload and can resume it after a lost connection. In the scope of RUFH only. */
    canResume: boolean
  }
}

/** Gives every request of `app` its dialect, and the note whether its client can resume. Scopes beside `app` have neither. */
export function decorateRequests(app: FastifyInstance): void {
  decorateOwnRequests(app, 'dialect', {
    getter() {
      return dialectOf(this.headers)
    },
  })
  decorateOwnRequests(app, 'canResume', { value: false })
}
