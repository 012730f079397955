import { describe, expect, it, onTestFinished } from 'vitest'
import { attacks } from '../../../tools/attack/attacks.ts'
import { measure, violationsOf } from '../../../tools/attack/measure.ts'
import { type Mode, startTarget } from '../../../tools/attack/target.ts'

// CPU time does not depend on the load of the machine. Wall-clock times are for `npm run attack` on an idle one.
const bounds = { peakMiB: 600, delayMs: Number.POSITIVE_INFINITY, busyMs: 500, slowestMs: Number.POSITIVE_INFINITY }

describe.each<Mode>(['development', 'production'])('a server in %s under attack', (mode) => {
  it('stays alive, keeps its memory bounded, and serves a well-behaved user', async () => {
    const target = await startTarget(mode)
    onTestFinished(() => target.stop())

    const violations: string[] = []
    for (const attack of attacks)
      violations.push(...violationsOf(await measure(target, attack, { share: 0.05, holdMs: 500 }), bounds))

    expect(violations).toEqual([])
  })
})
