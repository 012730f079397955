import { describe, expect, it, onTestFinished } from 'vitest'
import { attacks } from '../../../tools/attack/attacks.ts'
import { faultsOf, measure } from '../../../tools/attack/measure.ts'
import { type Mode, startTarget } from '../../../tools/attack/target.ts'

// How long anything takes on the clock is for `npm run attack` on a quiet machine; processor time is the same on a busy one.
const bounds = { peakMiB: 600, delayMs: Number.POSITIVE_INFINITY, busyMs: 500, slowestMs: Number.POSITIVE_INFINITY }

describe.each<Mode>(['development', 'production'])('a server in %s under attack', (mode) => {
  it('stays alive, keeps its memory bounded, and serves an honest user', async () => {
    const target = await startTarget(mode)
    onTestFinished(() => target.stop())

    const faults: string[] = []
    for (const attack of attacks)
      faults.push(...faultsOf(await measure(target, attack, { share: 0.05, holdMs: 500 }), bounds))

    expect(faults).toEqual([])
  })
})
