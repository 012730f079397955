import { complaintAboutNode } from '../node-version.ts'

const complaint = complaintAboutNode(process.versions.node)
if (complaint) {
  console.error(complaint)
  process.exit(1)
}

// Only now: an old Node cannot even load what these files import.
const { createProgram } = await import('./program.ts')
const { explain } = await import('../serve.ts')
const { printable } = await import('./printable.ts')
try {
  await createProgram().parseAsync()
} catch (thrown) {
  console.error(printable(explain(thrown)))
  process.exitCode = 1
}
