import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { UploadStatus } from '../../src/client/other-device.ts'
import { watchOtherDevice } from '../../src/client/other-device.ts'

const at = (offset: number, live = false): UploadStatus => ({ state: 'receiving', offset, live })
const ended = (state: UploadStatus['state']): UploadStatus => ({ state, offset: 0, live: false })

describe('the upload of another device', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** The callbacks that one status a poll leads to, when 5 bytes were known. */
  async function watch(statuses: (UploadStatus | null)[]): Promise<string[]> {
    const seen: string[] = []
    let polls = 0
    const stop = watchOtherDevice(5, async () => statuses[polls++] ?? null, 100, {
      completed: () => seen.push('completed'),
      gone: () => seen.push('gone'),
      moved: (offset) => seen.push(`moved ${offset}`),
      abandoned: () => seen.push('abandoned'),
    })
    await vi.advanceTimersByTimeAsync(100 * statuses.length)
    stop()
    return seen
  }

  it.each<[string, (UploadStatus | null)[], string[]]>([
    ['follows the offset', [at(6), at(9)], ['moved 6', 'moved 9']],
    ['is abandoned after two polls without progress', [at(5), at(5), at(5)], ['abandoned']],
    ['is not abandoned between two requests', [at(5), at(6), at(6), at(7)], ['moved 6', 'moved 7']],
    ['is not abandoned while a request writes', [at(5, true), at(5, true), at(5, true)], []],
    ['is not abandoned when the server does not respond', [null, at(5), null, null], []],
    ['is not abandoned while the object is completed', [ended('finishing'), ended('finishing')], ['moved 0']],
    ['has been completed', [ended('completed'), ended('completed')], ['completed']],
    ['has been deleted', [ended('gone')], ['gone']],
  ])('%s', async (_name, statuses, expected) => {
    expect(await watch(statuses)).toEqual(expected)
  })

  it('is ignored after the polling was stopped, also by an answer that was on its way', async () => {
    const { promise, resolve } = Promise.withResolvers<UploadStatus>()
    const completed = vi.fn<() => void>()
    const none = () => {}
    const stop = watchOtherDevice(5, () => promise, 100, { completed, gone: none, moved: none, abandoned: none })
    await vi.advanceTimersByTimeAsync(100)

    stop()
    resolve(ended('completed'))
    await vi.advanceTimersByTimeAsync(1000)

    expect(completed).not.toHaveBeenCalled()
  })
})
