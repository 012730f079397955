import { describe, expect, it } from 'vitest'
import { type BodySlot, createBodyGate } from '../../../src/core/body/body-gate.ts'
import { isUploadError } from '../../../src/core/errors/error.ts'

const noPressure = { limit: 100, used: 0 }
const from = (user: string, network: string | null = `network of ${user}`) => ({ user, network })
const isEnded = ({ signal }: BodySlot) => signal.aborted

describe('a full body gate', () => {
  it('ends the slowest body of the user with most bodies for one of another user', () => {
    const gate = createBodyGate(4, noPressure)
    const eves = [gate.enter(from('eve')), gate.enter(from('eve')), gate.enter(from('eve'))]
    const bobs = gate.enter(from('bob'))
    eves[0]!.received(10)
    eves[2]!.received(10)

    const anns = gate.enter(from('ann'))

    expect(eves.map(isEnded)).toEqual([false, true, false])
    expect([bobs, anns].map(isEnded)).toEqual([false, false])
    expect(isUploadError(eves[1]!.signal.reason, 'OVERLOADED')).toBe(true)
  })

  it('refuses another body of the user with most bodies', () => {
    const gate = createBodyGate(2, noPressure)
    const eves = [gate.enter(from('eve')), gate.enter(from('eve'))]

    expect(() => gate.enter(from('eve'))).toThrow('Please try again in a moment.')
    expect(eves.map(isEnded)).toEqual([false, false])
  })

  it('refuses all where users have equally many bodies', () => {
    const gate = createBodyGate(2, noPressure)
    gate.enter(from('ann'))
    gate.enter(from('bob'))

    expect(() => gate.check(from('eve'))).toThrow('Please try again in a moment.')
    expect(() => gate.enter(from('eve'))).toThrow('Please try again in a moment.')
  })

  it('ends a body of the network with most bodies where many users share one', () => {
    const gate = createBodyGate(4, noPressure)
    const farm = ['a', 'b', 'c'].map((user) => gate.enter(from(user, '203.0.113.7')))
    const ann = gate.enter(from('ann'))

    const bob = gate.enter(from('bob'))

    expect(farm.filter(isEnded)).toHaveLength(1)
    expect([ann, bob].map(isEnded)).toEqual([false, false])
    expect(() => gate.enter(from('d', '203.0.113.7'))).toThrow('Please try again in a moment.')
  })

  it('serves many users while one user holds all places', () => {
    const gate = createBodyGate(100, noPressure)
    const eves = Array.from({ length: 100 }, () => gate.enter(from('eve')))

    const others = Array.from({ length: 50 }, (_, n) => gate.enter(from(`user ${n}`)))

    expect(others.filter(isEnded)).toEqual([])
    expect(eves.filter(isEnded)).toHaveLength(50)
  })

  it('frees one place for each body that has left', () => {
    const gate = createBodyGate(1, noPressure)
    const first = gate.enter(from('ann'))
    first.leave()
    first.leave()

    gate.enter(from('bob'))

    expect(() => gate.enter(from('eve'))).toThrow()
  })

  it('refuses all while memory is short', () => {
    const gate = createBodyGate(10, { limit: 100, used: 126 })

    expect(() => gate.enter(from('ann'))).toThrow('Please try again in a moment.')
  })
})
