import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/support/global-setup.ts'],
    reporters: ['default', './test/support/summary.ts'],
    // The embedded database compiles a whole Postgres on its first start; on a busy machine that takes seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
