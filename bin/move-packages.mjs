// Moves the few packages that a build needs out of node_modules, and removes the others.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Moves packages `names` and their dependencies from `modules` to `target`, and removes `modules`. Before the first move, `modules` stops
 * counting as an install: otherwise a build after an interruption would lack the moved packages.
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

/** Adds `name` and its installed dependencies; packages in a nested node_modules move with their parent. */
function addWithDependencies(name, modules, needed) {
  const file = join(modules, name, 'package.json')
  if (needed.has(name) || !existsSync(file)) return
  needed.add(name)
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, 'utf8'))
  for (const other of Object.keys({ ...dependencies, ...optionalDependencies }))
    addWithDependencies(other, modules, needed)
}
