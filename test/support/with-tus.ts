import type { FastifyInstance } from 'fastify'
import type { RunningEngine } from '../../src/core/engine.ts'
import { type TusOptions, tusPlugin } from '../../src/protocols/tus/plugin.ts'

/** Puts the tus endpoint at `/files`, with the usual settings unless `options` have others. */
export function withTus(options: Partial<TusOptions> = {}) {
  return async (app: FastifyInstance, engine: RunningEngine): Promise<void> => {
    const usual = { engine, path: '/files', publicUrl: undefined, origins: '*', maxSize: () => 10 * 1024 ** 3 } as const
    await app.register(tusPlugin, { ...usual, ...options })
  }
}
