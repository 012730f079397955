// Moves the few packages that a build needs beside it out of node_modules, the rest of which then goes.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Moves packages `names`, and all that they need in turn, from `modules` to `target`, and removes `modules`. When it is cut off,
 * `modules` no longer counts as an install: a later build would take it for one, and go without the packages that were moved.
 */
export function movePackages(names, modules, target) {
  const needed = new Set()
  for (const name of names) addWithDependencies(name, modules, needed)
  rmSync(join(modules, '.package-lock.json'), { force: true })
  for (const name of needed) {
    mkdirSync(dirname(join(target, name)), { recursive: true })
    renameSync(join(modules, name), join(target, name))
  }
  rmSync(modules, { recursive: true, force: true })
}

/** Adds `name` and all that it needs in turn, as far as it is there; what lies in a package's own node_modules moves with it. */
function addWithDependencies(name, modules, needed) {
  const file = join(modules, name, 'package.json')
  if (needed.has(name) || !existsSync(file)) return
  needed.add(name)
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, 'utf8'))
  for (const other of Object.keys({ ...dependencies, ...optionalDependencies }))
    addWithDependencies(other, modules, needed)
}
