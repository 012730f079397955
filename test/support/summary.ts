import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** The real services for some tests, by the variable that sets each. */
const realParts = { TEST_DATABASE_URL: 'a Postgres of this machine (one from npm was used)' }
const realPartsOfSystem = {
  ...realParts,
  TEST_S3_ENDPOINT: 'a real S3 server (the stand-in of test/support was used)',
  TEST_CHROMIUM: 'a browser clicking through the page',
}

/** Ends a test run with the skipped tests and their reasons, and one line of counts. */
export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const cases = modules.flatMap((module) => [...module.children.allTests()])
    const skipped = cases.filter((test) => test.result().state === 'skipped')
    const failed = cases.filter((test) => test.result().state === 'failed').length
    const passed = cases.filter((test) => test.result().state === 'passed').length
    // A file that does not load and an error outside of tests fail the run without a failed test.
    const broken = modules.filter((module) => module.errors().length > 0).length + unhandled.length

    const isSystem = modules.some((module) => module.project.name !== 'tests')
    const lines = ['', ...missingParts(isSystem ? realPartsOfSystem : realParts), ...reasons(skipped)]
    lines.push(`${passed} passed, ${failed + broken} failed, ${skipped.length} skipped`)
    console.log(lines.join('\n'))
  }
}

function missingParts(parts: Record<string, string>): string[] {
  return Object.entries(parts)
    .filter(([variable]) => !process.env[variable])
    .map(([variable, part]) => `not run against ${part}: ${variable} is not set`)
}

/** One line for all tests that were skipped for the same reason: their note, or else their outermost group. */
function reasons(skipped: TestCase[]): string[] {
  const counts = new Map<string, number>()
  for (const test of skipped) {
    const result = test.result()
    const note = result.state === 'skipped' ? result.note : undefined
    const reason = `${test.module.relativeModuleId}: ${note ?? test.fullName.split(' > ')[0]}`
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
  return [...counts].map(([reason, count]) => `skipped ${count} of ${reason}`)
}
