import { complaintAboutNode } from './node-version.ts'

const complaint = complaintAboutNode(process.versions.node)
if (complaint) {
  console.error(complaint)
  process.exit(1)
}

// Only now: an old Node cannot even load what these files import.
const { serve } = await import('./serve.ts')
await serve()
