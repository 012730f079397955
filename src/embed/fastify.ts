/*
 * `landfall/fastify`: uploads in a Fastify app of one's own. Everything is in one encapsulated scope below `prefix`: parsers, errors,
 * CORS and decorators of uploads concern no other route, and several may be in one app, each with a schema and a store of its own.
 */
import type { FastifyInstance } from 'fastify'
import { ConfigError } from '../config.ts'
import { configOf } from './config-of.ts'
import { mountUploads } from './mount-uploads.ts'
import type { LandfallOptions, LandfallPlugin } from './options.ts'

export type * from '../features/hooks.ts'
export type * from './options.ts'

/**
 * The plugin: `app.register(landfall, { prefix: '/uploads', store, database, authenticate, … })`. The app is ready when store and
 * database are open, migrated and checked. `app.close()` ends bodies that are being read, which saves what arrived.
 * @throws ConfigError when the options have a problem
 */
export const landfall: LandfallPlugin = Object.assign(
  async (app: FastifyInstance, options: LandfallOptions<never>) => {
    if (app.prefix === '')
      throw new ConfigError(['prefix: is not set, so the errors of uploads would be those of every route'])
    await mountUploads(app, options, await configOf(options))
  },
  { isLandfall: true, [Symbol.for('fastify.display-name')]: 'landfall' } as const,
)
