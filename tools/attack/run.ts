// npm run attack [-- --short] [-- --mode development|production] [-- --only TEXT]: attacks a server on this machine and prints the effects.
// --only: the attacks whose name contains TEXT.
import { parseArgs } from 'node:util'
import { attacks } from './attacks.ts'
import { type Bounds, measure, type Outcome, violationsOf } from './measure.ts'
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
const chosen = attacks.filter(({ name }) => values.only?.some((text) => name.includes(text)) ?? true)
// Limits for two idle cores. A busy machine makes `delayMs` and `slowestMs` worse, but not the others.
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
const violations = outcomes.flatMap((outcome) => violationsOf(outcome, bounds))
for (const violation of violations) console.error(violation)
process.exitCode = violations.length > 0 ? 1 : 0
