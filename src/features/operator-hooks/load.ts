import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Hooks } from '../hooks.ts'

/** HOOKS names a module that has no hooks. The message is for the operator. */
export class HooksError extends Error {
  override name = 'HooksError'
  readonly code = 'HOOKS_INVALID'
}

const names: (keyof Hooks)[] = [
  'authorize',
  'beforeCreate',
  'nameObject',
  'onFirstBytes',
  'beforeComplete',
  'onUploadCompleted',
  'identify',
]

/**
 * Loads the hooks of the module at `path`: JavaScript, or TypeScript with erasable syntax only.
 * @throws HooksError
 */
export async function loadHooks(path: string): Promise<Hooks> {
  const module = await load(path)
  const hooks: unknown = module.default
  if (typeof hooks !== 'object' || hooks === null)
    throw new HooksError(`HOOKS: ${path} has no object as its default export`)
  for (const [name, value] of Object.entries(hooks)) {
    if (!names.includes(name as keyof Hooks))
      throw new HooksError(`HOOKS: ${path} exports ${name}; the hooks are ${names.join(', ')}`)
    if (typeof value !== 'function') throw new HooksError(`HOOKS: ${name} in ${path} is not a function`)
  }
  return hooks as Hooks
}

async function load(path: string): Promise<{ default?: unknown }> {
  try {
    return await import(pathToFileURL(resolve(path)).href)
  } catch (thrown) {
    throw new HooksError(
      `HOOKS: ${path} cannot be loaded: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      {
        cause: thrown,
      },
    )
  }
}
