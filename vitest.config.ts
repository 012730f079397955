import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/support/global-setup.ts'],
    reporters: ['default', './test/support/summary.ts'],
    // Tests wait more than they compute; machines with two cores would run them one file after the other.
    maxWorkers: Math.max(2, Math.ceil(availableParallelism() / 2)),
    // The embedded database compiles a whole Postgres on its first start; on a busy machine that takes seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
