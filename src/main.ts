import module from 'node:module'
import { unsupportedNode } from './server/node-version.ts'

const problem = unsupportedNode(process.versions.node)
if (problem) {
  console.error(problem)
  process.exit(1)
}

// Caches compiled code beside the bundle for the next start. Where the cache cannot be written, every start compiles again.
if (import.meta.filename.endsWith('.js')) module.enableCompileCache(`${import.meta.dirname}/.compiled`)
// Loaded after the check: an old Node cannot parse these modules.
const { serve } = await import('./server/serve.ts')
const { working } = await serve()
module.flushCompileCache()
await working
module.flushCompileCache()
