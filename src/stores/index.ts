import type { z } from 'zod'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { StoreKind, StoreWatch } from './kind.ts'
import { local } from './local.ts'
import { s3 } from './s3/index.ts'

/** The kinds of store, by the value of `STORE`. */
const kinds = { local, s3 }

export type StoreName = keyof typeof kinds
export const storeNames = Object.keys(kinds) as [StoreName, ...StoreName[]]

type Intersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void
  ? All
  : never
type AllSettings = Intersection<(typeof kinds)[StoreName]['settings']>
type Values = z.output<z.ZodObject<AllSettings>>

/** The settings of all kinds. */
export const storeSettings: AllSettings = Object.assign({}, ...Object.values(kinds).map(({ settings }) => settings))

/** The kind that `STORE` names; its functions take the settings of all kinds. */
export function storeKind(name: StoreName): Omit<StoreKind<AllSettings>, 'settings'> {
  return kinds[name]
}

/** The settings of each kind, by their heading in `.env.example`. */
export function storeGroups(): Record<string, z.ZodRawShape> {
  return Object.fromEntries(Object.values(kinds).map(({ title, settings }) => [title, settings]))
}

/** The store that `name` and the settings say. */
export function openStore(name: StoreName, settings: Values, watch: StoreWatch = {}): ObjectStore {
  return storeKind(name).open(settings, watch)
}
