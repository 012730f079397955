import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Hooks } from './hooks.ts'

const names: (keyof Hooks)[] = ['authorize', 'nameObject', 'identify']

/**
 * Loads the hooks of the module at `path`: JavaScript, or TypeScript with erasable syntax only.
 * @throws Error whose message is for the operator
 */
export async function loadHooks(path: string): Promise<Hooks> {
  const module = await load(path)
  const hooks: unknown = module.default
  if (typeof hooks !== 'object' || hooks === null) throw new Error(`${path} has no object as its default export`)
  for (const [name, value] of Object.entries(hooks)) {
    if (!names.includes(name as keyof Hooks))
      throw new Error(`${path} exports ${name}; the hooks are ${names.join(', ')}`)
    if (typeof value !== 'function') throw new Error(`${name} in ${path} is not a function`)
  }
  return hooks as Hooks
}

async function load(path: string): Promise<{ default?: unknown }> {
  try {
    return await import(pathToFileURL(resolve(path)).href)
  } catch (thrown) {
    throw new Error(`${path} cannot be loaded: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
      cause: thrown,
    })
  }
}
