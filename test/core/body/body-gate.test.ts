import { describe, expect, it } from 'vitest'
import { type BodySlot, createBodyGate } from '../../../src/core/body/body-gate.ts'
import { isUploadError } from '../../../src/core/errors/error.ts'

const atEase = { limit: 100, used: 0 }
const from = (user: string, network: string | null = `net of ${user}`) => ({ user, network })
const isOut = ({ signal }: BodySlot) => signal.aborted

describe('a gate for bodies that is full', () => {
  it('ends the slowest body of the user who has most of them for one of another user', () => {
    const gate = createBodyGate(4, atEase)
    const hers = [gate.enter(from('eve')), gate.enter(from('eve')), gate.enter(from('eve'))]
    const bobs = gate.enter(from('bob'))
    hers[0]!.received(10)
    hers[2]!.received(10)

    const anns = gate.enter(from('ann'))

    expect(hers.map(isOut)).toEqual([false, true, false])
    expect([bobs, anns].map(isOut)).toEqual([false, false])
    expect(isUploadError(hers[1]!.signal.reason, 'OVERLOADED')).toBe(true)
  })

  it('sends one more of the user who has most of them away', () => {
    const gate = createBodyGate(2, atEase)
    const hers = [gate.enter(from('eve')), gate.enter(from('eve'))]

    expect(() => gate.enter(from('eve'))).toThrow('Please try again in a moment.')
    expect(hers.map(isOut)).toEqual([false, false])
  })

  it('lets nobody in where all have equally many', () => {
    const gate = createBodyGate(2, atEase)
    gate.enter(from('ann'))
    gate.enter(from('bob'))

    expect(() => gate.check(from('eve'))).toThrow('Please try again in a moment.')
    expect(() => gate.enter(from('eve'))).toThrow('Please try again in a moment.')
  })

  it('ends a body of the network that has most where many users come from one', () => {
    const gate = createBodyGate(4, atEase)
    const farm = ['a', 'b', 'c'].map((user) => gate.enter(from(user, '203.0.113.7')))
    const ann = gate.enter(from('ann'))

    const bob = gate.enter(from('bob'))

    expect(farm.filter(isOut)).toHaveLength(1)
    expect([ann, bob].map(isOut)).toEqual([false, false])
    expect(() => gate.enter(from('d', '203.0.113.7'))).toThrow('Please try again in a moment.')
  })

  it('serves every one of a hundred users while one holds all there is', () => {
    const gate = createBodyGate(100, atEase)
    const hers = Array.from({ length: 100 }, () => gate.enter(from('eve')))

    const others = Array.from({ length: 50 }, (_, n) => gate.enter(from(`user ${n}`)))

    expect(others.filter(isOut)).toEqual([])
    expect(hers.filter(isOut)).toHaveLength(50)
  })

  it('has a place again when a body has left, once', () => {
    const gate = createBodyGate(1, atEase)
    const first = gate.enter(from('ann'))
    first.leave()
    first.leave()

    gate.enter(from('bob'))

    expect(() => gate.enter(from('eve'))).toThrow()
  })

  it('lets nobody in while memory is short, not even in the place of another', () => {
    const gate = createBodyGate(10, { limit: 100, used: 126 })

    expect(() => gate.enter(from('ann'))).toThrow('Please try again in a moment.')
  })
})
