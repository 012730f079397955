import { join } from 'node:path'
import type { z } from 'zod'
import type { ObjectStore } from '../core/ports.ts'
import { localOptions, localStore } from './local.ts'

/** The settings of every kind of store; the configuration knows them from here. */
export const storeOptions = { ...localOptions.shape }

/** What `STORE` may say, and how that kind is made of the settings. */
const kinds: Record<string, (settings: z.output<z.ZodObject<typeof storeOptions>>) => ObjectStore> = {
  local: ({ DATA_DIR, LOCAL_FSYNC }) => localStore({ directory: join(DATA_DIR, 'files'), fsync: LOCAL_FSYNC }),
}

/** The store of `kind`, not asked anything yet: `check()` says whether it can be used. */
export function openStore(kind: string, settings: z.output<z.ZodObject<typeof storeOptions>>): ObjectStore {
  const open = kinds[kind]
  if (!open) throw new Error(`there is no store "${kind}"`)
  return open(settings)
}
