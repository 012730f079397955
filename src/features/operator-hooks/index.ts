import type { Feature, FeatureDeps } from '../feature.ts'
import { loadHooks } from './load.ts'
import { typeHooks } from './typed.ts'

/** The operator's own functions, of the module that HOOKS names. @throws HooksError */
export async function createOperatorHooks({
  settings: { HOOKS, HOOK_TIMEOUT },
}: FeatureDeps<{ HOOKS?: string | undefined; HOOK_TIMEOUT: number }>): Promise<Feature> {
  return HOOKS === undefined ? {} : typeHooks(await loadHooks(HOOKS), HOOK_TIMEOUT)
}
