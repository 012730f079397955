/* `landfall/testing`: a store in memory that fails on demand, for the tests of apps with uploads. */
export { type Fault, type StoreCall, scriptFaults } from './faults.ts'
export { type MemoryStore, memoryStore } from './memory-store.ts'
