import { join } from 'node:path'
import type { ObjectStore } from '../core/ports.ts'
import { localOptions, localStore } from './local.ts'
import { s3Options } from './s3/options.ts'
import { s3Store } from './s3/store.ts'

/** Every kind of store: what it wants to be told, under the names of the environment, and how it is opened. */
export const stores = {
  local: {
    options: localOptions,
    open: (options: Record<string, unknown>): ObjectStore => {
      const { DATA_DIR, LOCAL_FSYNC } = localOptions.parse(options)
      return localStore({ directory: join(DATA_DIR, 'objects'), fsync: LOCAL_FSYNC })
    },
  },
  s3: {
    options: s3Options,
    open: (options: Record<string, unknown>): ObjectStore => s3Store(s3Options.parse(options)),
  },
}

export type StoreKind = keyof typeof stores
