import { onTestFinished } from 'vitest'
import { everyKind, type OpenStore, openStoreOf, type StoreKind } from './store-kinds.ts'

export type { StoreKind }
export type TestStore = Omit<OpenStore, 'dispose'>

/** Where the suites of the protocols keep their files: in memory with small parts, on disk, and in S3; or only where TEST_STORE says. */
export const storeKinds: readonly StoreKind[] = everyKind.filter(
  (kind) => !process.env.TEST_STORE || process.env.TEST_STORE.split(',').includes(kind),
)

/** An empty store that goes with the test. */
export async function openTestStore(kind: StoreKind): Promise<TestStore> {
  const store = await openStoreOf(kind)
  onTestFinished(() => store.dispose())
  return store
}
