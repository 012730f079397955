import { join } from 'node:path'
import type { z } from 'zod'
import type { ObjectStore } from '../core/ports/object-store.ts'
import { localOptions, localStore } from './local.ts'
import type { StoreWatch } from './s3/call.ts'
import { s3Options } from './s3/options.ts'
import { s3Store } from './s3/store.ts'

/** The settings of every kind of store, for the configuration. */
export const storeOptions = { local: localOptions.shape, s3: s3Options.shape }

type Settings = z.output<typeof localOptions> & z.output<typeof s3Options>

/** The values of `STORE`, and how each store is created from the settings. */
const kinds = {
  local: ({ DATA_DIR, LOCAL_FSYNC }: Settings) =>
    localStore({ directory: join(DATA_DIR, 'files'), fsync: LOCAL_FSYNC }),
  s3: (settings: Settings, watch: StoreWatch) => s3Store(settings, watch),
}

export type StoreKind = keyof typeof kinds

/** The store of `kind`. It sends no request yet: `check()` shows whether the store can be used. */
export function openStore(kind: StoreKind, settings: Settings, watch: StoreWatch = {}): ObjectStore {
  return kinds[kind](settings, watch)
}
