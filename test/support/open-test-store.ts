import { onTestFinished } from 'vitest'
import { everyKind, type OpenStore, openStoreOf, type StoreKind } from './store-kinds.ts'

export type { StoreKind }
export type TestStore = Omit<OpenStore, 'dispose'>

const { TEST_STORE } = process.env

/** The stores for tests about stores: every kind, or the kinds that TEST_STORE lists. */
export const storeKinds: readonly StoreKind[] = everyKind.filter(
  (kind) => TEST_STORE?.split(',').includes(kind) ?? true,
)

/**
 * The stores for the suites of the protocols. Protocols do not depend on the store, so that is memory unless TEST_STORE lists others:
 * `npm run test:system` runs the same suites on disk and in S3.
 */
export const protocolStores: readonly StoreKind[] = TEST_STORE ? storeKinds : ['memory']

/** An empty store that is removed after the test. */
export async function openTestStore(kind: StoreKind): Promise<TestStore> {
  const store = await openStoreOf(kind)
  onTestFinished(() => store.dispose())
  return store
}
