/* `landfall/testing`: a server without a database, and a store that fails on demand, for the tests of apps with uploads. */
export { type Fault, type StoreCall, scriptFaults } from './faults.ts'
export { type MemoryStore, memoryStore } from './memory-store.ts'
export type { RequestFault } from './request-faults.ts'
export { openTestServer, type TestServer, type TestServerOptions } from './server.ts'
export type { MemoryEvent } from './uploads/rows.ts'
