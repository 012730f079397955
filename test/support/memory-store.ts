export * from '../../src/testing/memory-store.ts'
