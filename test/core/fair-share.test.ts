import { describe, expect, it } from 'vitest'
import { createFairShare, type FairShare } from '../../src/core/fair-share.ts'

/** Takes places for `user` until there is none. @returns how many there were */
function takeAll(share: FairShare, user: string): number {
  let taken = 0
  while (share.take(user)) taken += 1
  return taken
}

describe('places that users share', () => {
  it('go to a single user up to half of them', () => {
    expect(takeAll(createFairShare(100), 'ann')).toBe(50)
  })

  it('are left for the next user, however many users took all they may', () => {
    const share = createFairShare(100)
    const taken = ['ann', 'bob', 'cem', 'dora'].map((user) => takeAll(share, user))

    expect(taken).toEqual([50, 25, 13, 6])
  })

  it('are limited for each user in addition', () => {
    expect(takeAll(createFairShare(100, 5), 'ann')).toBe(5)
  })

  it.each([1, 2])('are one at least: of %i', (all) => {
    expect(takeAll(createFairShare(all), 'ann')).toBe(1)
  })

  it('can be taken again once they are given back, which counts once', () => {
    const share = createFairShare(4)
    const release = share.take('ann')!
    share.take('ann')
    expect(share.take('ann')).toBe(null)

    release()
    release()

    expect(takeAll(share, 'ann')).toBe(1)
  })
})
