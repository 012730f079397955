import { unsupportedNode } from '../server/node-version.ts'

const problem = unsupportedNode(process.versions.node)
if (problem) {
  console.error(problem)
  process.exit(1)
}

// Loaded after the check: an old Node cannot parse these modules.
const { createProgram } = await import('./program.ts')
const { explain } = await import('../server/explain.ts')
const { printable } = await import('./printable.ts')
try {
  await createProgram().parseAsync()
} catch (thrown) {
  console.error(printable(explain(thrown)))
  process.exitCode = 1
}
