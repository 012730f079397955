import { onTestFinished } from 'vitest'
import { everyKind, type OpenStore, openStoreOf, type StoreKind } from './store-kinds.ts'

export type { StoreKind }
export type TestStore = Omit<OpenStore, 'dispose'>

const { TEST_STORE: given } = process.env

/** Where tests about the store itself keep their files: in memory with small parts, on disk, and in S3; or only where TEST_STORE says. */
export const storeKinds: readonly StoreKind[] = everyKind.filter((kind) => given?.split(',').includes(kind) ?? true)

/**
 * Where the suites of the protocols keep their files. What a protocol says does not depend on the store, so that is memory, and
 * TEST_STORE names others: `npm run test:system` runs the same suites on disk and in S3.
 */
export const protocolStores: readonly StoreKind[] = given ? storeKinds : ['memory']

/** An empty store that goes with the test. */
export async function openTestStore(kind: StoreKind): Promise<TestStore> {
  const store = await openStoreOf(kind)
  onTestFinished(() => store.dispose())
  return store
}
