#!/usr/bin/env node
import { existsSync } from 'node:fs'

const program = new URL('../dist/landfall.js', import.meta.url)
if (!existsSync(program)) {
  console.error('landfall is not built yet: npm run build')
  process.exit(1)
}
await import(program.href)
