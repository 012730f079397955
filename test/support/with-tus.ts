import type { FastifyInstance } from 'fastify'
import type { RunningEngine } from '../../src/core/engine.ts'
import { allowOrigins } from '../../src/http/cors.ts'
import { type TusOptions, tusPlugin } from '../../src/protocols/tus/plugin.ts'

/** Registers the tus endpoint at `/files`. `options` override the defaults, which allow pages of all origins. */
export function withTus({ origins = '*', ...options }: Partial<TusOptions> & { origins?: '*' | string[] } = {}) {
  return async (app: FastifyInstance, engine: RunningEngine): Promise<void> => {
    const defaults = { engine, path: '/files', publicUrl: undefined, maxSize: () => 10 * 1024 ** 3 }
    allowOrigins(app, { origins, headers: [], credentials: false })
    await app.register(tusPlugin, { ...defaults, ...options })
  }
}
