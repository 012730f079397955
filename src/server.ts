import module from 'node:module'
import { unsupportedNode } from './node-version.ts'

const complaint = unsupportedNode(process.versions.node)
if (complaint) {
  console.error(complaint)
  process.exit(1)
}

// What V8 made of the files is kept beside them, for the next start. Where it cannot be written, every start compiles anew.
if (import.meta.filename.endsWith('.js')) module.enableCompileCache(`${import.meta.dirname}/.compiled`)
// Only now: an old Node cannot even load what these files import.
const { serve } = await import('./serve.ts')
const { working } = await serve()
module.flushCompileCache()
await working
module.flushCompileCache()
