import type { Feature, FeatureDeps } from '../feature.ts'
import { backfillSteps } from './backfill.ts'
import { configuredSteps, type StepSettings } from './configured.ts'
import { adminStepsPlugin, stepsPlugin } from './plugin.ts'
import { createWorker } from './worker.ts'

const lookEveryMs = 1000
// A step of a worker that died is taken again within two leases.
const looksBetweenRecoveries = 10

/** What follows an upload: its steps, which keep its content from readers until they have passed. */
export function createSteps({ settings, database, store, now, onError }: FeatureDeps<StepSettings>): Feature {
  const steps = configuredSteps(settings)
  const routes = (wake: () => void): Feature => ({
    routes: (scope, engine) => stepsPlugin(scope, { database, engine, now, wake }),
    adminRoutes: (scope) => adminStepsPlugin(scope, { database }),
  })
  if (steps.length === 0) return routes(() => {})
  const worker = createWorker({ database, steps, read: (key) => store.read(key), now, onError })
  let looks = 0
  const timer = setInterval(() => {
    if (looks++ % looksBetweenRecoveries === 0) worker.recover().catch(onError)
    worker.wake()
  }, lookEveryMs)
  return {
    ...routes(worker.wake),
    jobs: [{ name: 'backfill-steps', every: 'minute', run: () => backfillSteps(database, steps, now()) }],
    gauges: {
      landfall_steps_running: { help: 'Steps after uploads that run in this process', value: () => worker.running() },
    },
    async close() {
      clearInterval(timer)
      await worker.close()
    },
  }
}
