#!/usr/bin/env node
// The command `landfall`. The Node of the machine may be too old for it, so this file is plain JavaScript for Node 18 and later, and runs the
// command on the Node that `npm start` found or installed.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findNode } from './node.mjs'

const program = fileURLToPath(new URL('../dist/landfall.js', import.meta.url))
if (!existsSync(program)) {
  console.error('landfall is not built yet: run `npm run build`')
  process.exit(1)
}
const node = findNode(dirname(dirname(fileURLToPath(import.meta.url))))
if (node === null || node === process.execPath) {
  // Without a newer Node, the program prints which versions it supports.
  await import(program)
} else {
  const { status, signal } = spawnSync(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' })
  if (signal) process.kill(process.pid, signal)
  process.exitCode = status ?? 1
}
