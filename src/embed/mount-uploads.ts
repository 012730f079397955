import type { FastifyInstance } from 'fastify'
import { mount } from '../app/mount.ts'
import type { Config } from '../config.ts'
import type { Hooks } from '../features/hooks.ts'
import { type Authenticate, identifyBy } from './authenticate.ts'
import { isObjectStore } from './config-of.ts'
import { connectionOf } from './connection.ts'
import type { AppUser, HooksOf, UploadsOptions } from './options.ts'

/** Serves uploads in `app`, below its prefix. `config` is what `configOf` read from `options`. */
export async function mountUploads<User extends AppUser | undefined>(
  app: FastifyInstance,
  options: UploadsOptions<User>,
  config: Config,
): Promise<void> {
  const { store, database, authenticate } = options
  const { requestTimeout } = app.server
  // Fastify's default is no limit; that of Node, five minutes, would end every longer upload.
  if (requestTimeout > 0) app.log.warn({ requestTimeout }, 'requestTimeout ends longer uploads; set it to 0')
  const { working } = await mount(app, config, {
    ...(isObjectStore(store) && { store }),
    ...(typeof database === 'object' && { connection: connectionOf(database) }),
    ...(authenticate && { identify: identifyBy(authenticate as Authenticate, config.HOOK_TIMEOUT) }),
    hooks: hooksOf(options),
  })
  working.catch((error: unknown) => app.log.error({ err: error }, 'background work cannot start'))
}

/** The functions of the options. `user` of every request is what `authenticate` returned. */
export function hooksOf<User extends AppUser | undefined>(options: HooksOf<User>): Hooks {
  const { authorize, beforeCreate, nameObject, onFirstBytes, beforeComplete, onUploadCompleted } = options
  return { authorize, beforeCreate, nameObject, onFirstBytes, beforeComplete, onUploadCompleted } as unknown as Hooks
}
