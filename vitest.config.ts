import { globSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const system = 'test/system/**/*.test.ts'

// Suites that run once per store: quick ones on the store in memory, all of them again in S3 and on disk.
const perStore = globSync('test/{protocols,stores}/**/*.test.ts').filter((path) =>
  /\b(storeKinds|protocolStores)\b/.test(readFileSync(path, 'utf8')),
)

/** Runs files that start processes first. They take longest, whatever their size, and no worker should still run one when the others are done. */
class ProcessesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const startsProcesses = ({ moduleId }: TestSpecification) =>
      /startNodeProcess|startPostgres|openEmbedded|examined|\bspawn|\bexecFile/.test(readFileSync(moduleId, 'utf8'))
    return [...sorted.filter(startsProcesses), ...sorted.filter((file) => !startsProcesses(file))]
  }
}

export default defineConfig({
  test: {
    globalSetup: ['./test/support/global-setup.ts'],
    setupFiles: ['./test/support/setup-file.ts'],
    reporters: ['default', './test/support/summary.ts'],
    // Tests wait for Postgres and processes as much as they compute: four of them keep two cores busy.
    maxWorkers: Math.max(4, availableParallelism()),
    sequence: { sequencer: ProcessesFirst },
    // What hangs fails; what is slow because the machine is busy does not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000, interval: 10 } },
    projects: [
      // `npm test`: everything that is quick.
      { extends: true, test: { name: 'tests', include: ['test/**/*.test.ts'], exclude: [system], isolate: false } },
      // `npm run test:system`: what is slow by nature, and what needs a browser, a proxy or a real S3 server.
      { extends: true, test: { name: 'system', include: [system] } },
      { extends: true, test: { name: 'stores', include: perStore, env: { TEST_STORE: 'local,s3' } } },
    ],
  },
})
