// npm run attack [-- --short] [-- --mode development|production] [-- --only WORDS]: attacks a server on this machine and prints what it
// did to it. --only: the attacks whose name has these words.
import { parseArgs } from 'node:util'
import { attacks } from './attacks.ts'
import { type Bounds, faultsOf, measure, type Outcome } from './measure.ts'
import { type Mode, startTarget } from './target.ts'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean' },
    mode: { type: 'string', multiple: true },
    only: { type: 'string', multiple: true },
  },
})
const modes = (values.mode as Mode[] | undefined) ?? ['development', 'production']
const scale = values.short ? { share: 0.05, holdMs: 1000 } : { share: 1, holdMs: 10_000 }
const chosen = attacks.filter(({ name }) => values.only?.some((words) => name.includes(words)) ?? true)
// On two quiet cores; a busy machine makes `delayMs` and `slowestMs` worse, and the others not.
const bounds: Bounds = { peakMiB: 600, delayMs: 1000, busyMs: 500, slowestMs: 10_000 }

const outcomes: Outcome[] = []
for (const mode of modes) {
  const target = await startTarget(mode)
  try {
    for (const attack of chosen) {
      outcomes.push(await measure(target, attack, scale))
      console.error(`${mode}: ${attack.name}`)
    }
  } finally {
    await target.stop()
  }
}
console.table(outcomes)
const faults = outcomes.flatMap((outcome) => faultsOf(outcome, bounds))
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
