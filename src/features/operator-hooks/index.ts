import type { Feature, FeatureDeps } from '../feature.ts'
import { loadHooks } from './load.ts'
import { typeHooks } from './typed.ts'

/** The operator's own functions: those of the app around this server, or of the module that HOOKS names. @throws HooksError */
export async function createOperatorHooks({
  settings: { HOOKS, HOOK_TIMEOUT },
  hooks,
}: FeatureDeps<{ HOOKS?: string | undefined; HOOK_TIMEOUT: number }>): Promise<Feature> {
  const given = hooks ?? (HOOKS === undefined ? {} : await loadHooks(HOOKS))
  return typeHooks(given, HOOK_TIMEOUT)
}
