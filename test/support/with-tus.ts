import type { FastifyInstance } from 'fastify'
import type { RunningEngine } from '../../src/core/engine.ts'
import { tusPlugin } from '../../src/protocols/tus/plugin.ts'

/** Puts the tus endpoint at `/files`. */
export async function withTus(app: FastifyInstance, engine: RunningEngine): Promise<void> {
  await app.register(tusPlugin, { engine, path: '/files', publicUrl: undefined, origins: '*', maxSize: 10 * 1024 ** 3 })
}
