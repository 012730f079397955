import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ProgressRecorder } from '../../../src/core/parts/progress-recorder.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A recorder whose saves end when the test says so. */
function recorded() {
  const saves: PromiseWithResolvers<void>[] = []
  const errors: unknown[] = []
  const recorder: ProgressRecorder = new ProgressRecorder(
    () => {
      recorder.began()
      const save = Promise.withResolvers<void>()
      saves.push(save)
      return save.promise
    },
    (error) => errors.push(error),
    250,
  )
  return { recorder, saves, errors }
}

describe('the progress of a body', () => {
  it('is saved once for all that happens within a quarter of a second', async () => {
    const { recorder, saves } = recorded()
    recorder.soon()
    await vi.advanceTimersByTimeAsync(0)
    saves[0]!.resolve()

    for (let at = 0; at < 5; at += 1) recorder.soon()
    await vi.advanceTimersByTimeAsync(249)
    expect(saves).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)

    expect(saves).toHaveLength(2)
  })

  it('is saved by one statement at a time, in the order of the calls', async () => {
    const { recorder, saves } = recorded()
    const order: string[] = []
    recorder.soon()
    await vi.advanceTimersByTimeAsync(0)

    const later = recorder.inTurn(async () => void order.push('statement'))
    await vi.advanceTimersByTimeAsync(1000)
    order.push('save')
    saves[0]!.resolve()
    await later

    expect(order).toEqual(['save', 'statement'])
  })

  it('is not saved any more once the caller has stopped it', async () => {
    const { recorder, saves } = recorded()
    recorder.soon()

    await recorder.stopped()
    await vi.advanceTimersByTimeAsync(1000)

    expect(saves).toHaveLength(0)
  })

  it('reports a save that failed, and waits for the one that runs', async () => {
    const { recorder, saves, errors } = recorded()
    recorder.soon()
    await vi.advanceTimersByTimeAsync(0)
    const stopped = recorder.stopped()

    saves[0]!.reject(new Error('the database is away'))
    await stopped

    expect(errors).toEqual([new Error('the database is away')])
  })
})
