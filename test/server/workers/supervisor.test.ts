import { describe, expect, it } from 'vitest'
import { type Ending, maxFailedStarts, Supervisor } from '../../../src/server/workers/supervisor.ts'

const killed: Ending = { code: null, signal: 'SIGKILL', reason: null, listenedMs: 500 }
const drained: Ending = { code: 0, signal: null, reason: null, listenedMs: 500 }
const failed: Ending = { code: 1, signal: null, reason: 'the database cannot be reached', listenedMs: null }

/** A supervisor whose workers 1 to `count` listen. */
function running(count = 2): Supervisor {
  const supervisor = new Supervisor(count)
  supervisor.begin()
  for (let number = 1; number <= count; number += 1) supervisor.listens(number)
  return supervisor
}

describe('the supervisor of the workers', () => {
  it('starts the others when the first one listens', () => {
    const supervisor = new Supervisor(3)

    const begun = supervisor.begin()
    const later = supervisor.listens(1)

    expect(begun).toEqual([{ do: 'start', number: 1, isFirst: true }])
    expect(later).toEqual([
      { do: 'start', number: 2, isFirst: false },
      { do: 'start', number: 3, isFirst: false },
    ])
  })

  it.each([
    ['with its reason', failed, 'the database cannot be reached'],
    [
      'with its signal',
      { ...failed, code: null, signal: 'SIGSEGV', reason: null },
      'its first process was ended by SIGSEGV',
    ],
    ['with its code', { ...failed, code: 7, reason: null }, 'its first process ended with code 7'],
  ])('ends the server %s when the first worker cannot start', (_, ending, reason) => {
    const supervisor = new Supervisor(2)
    supervisor.begin()

    expect(supervisor.ended(1, ending)).toEqual([{ do: 'exit', code: 1, reason }])
  })

  it('starts a worker again that ends, at once', () => {
    const supervisor = running()

    expect(supervisor.ended(2, killed)).toEqual([{ do: 'wait', number: 2, ms: 0 }])
    expect(supervisor.isDue(2)).toEqual([{ do: 'start', number: 2, isFirst: false }])
    expect(supervisor.listens(2)).toEqual([])
  })

  it('starts a worker again that an operator stopped alone', () => {
    expect(running().ended(1, drained)).toEqual([{ do: 'wait', number: 1, ms: 0 }])
  })

  it('waits longer each time a worker does not last, and at most half a minute', () => {
    const supervisor = running()
    const pauses = Array.from({ length: 8 }, () => {
      const [command] = supervisor.ended(2, killed)
      supervisor.isDue(2)
      supervisor.listens(2)
      return command?.do === 'wait' ? command.ms : null
    })

    expect(pauses).toEqual([0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  })

  it('forgets earlier ends of a worker that lasted a minute', () => {
    const supervisor = running()
    for (const ending of [killed, killed, { ...killed, listenedMs: 60_000 }]) {
      supervisor.ended(2, ending)
      supervisor.isDue(2)
      supervisor.listens(2)
    }

    expect(supervisor.ended(2, killed)).toEqual([{ do: 'wait', number: 2, ms: 0 }])
  })

  it('ends the server with the reason when a worker fails to start again and again', () => {
    const supervisor = running()
    supervisor.ended(2, killed)
    const answers = Array.from({ length: maxFailedStarts }, () => {
      supervisor.isDue(2)
      return supervisor.ended(2, failed)
    })

    expect(
      answers
        .slice(0, -1)
        .flat()
        .map((command) => command.do),
    ).toEqual(['wait', 'wait', 'wait', 'wait'])
    expect(answers.at(-1)).toEqual([{ do: 'stop', number: 1 }])
    expect(supervisor.ended(1, drained)).toEqual([
      { do: 'exit', code: 1, reason: 'worker 2 could not start 5 times in a row: the database cannot be reached' },
    ])
  })

  it('counts failed starts anew after a start that succeeded', () => {
    const supervisor = running()
    const states = [killed, failed, failed, failed, failed].map((ending) => {
      const [command] = supervisor.ended(2, ending)
      supervisor.isDue(2)
      return command?.do
    })
    supervisor.listens(2)
    supervisor.ended(2, killed)
    supervisor.isDue(2)

    expect(states).toEqual(['wait', 'wait', 'wait', 'wait', 'wait'])
    expect(supervisor.ended(2, failed)).toMatchObject([{ do: 'wait' }])
  })
})

describe('a supervisor that is stopped', () => {
  it('stops every worker, and exits with 0 when all have ended', () => {
    const supervisor = running()

    expect(supervisor.stop()).toEqual([
      { do: 'stop', number: 1 },
      { do: 'stop', number: 2 },
    ])
    expect(supervisor.ended(2, drained)).toEqual([])
    expect(supervisor.ended(1, drained)).toEqual([{ do: 'exit', code: 0, reason: null }])
  })

  it('starts no worker any more', () => {
    const supervisor = running()
    supervisor.ended(2, killed)

    expect(supervisor.stop()).toEqual([{ do: 'stop', number: 1 }])
    expect(supervisor.isDue(2)).toEqual([])
    expect(supervisor.ended(1, drained)).toEqual([{ do: 'exit', code: 0, reason: null }])
  })

  it('exits with 0 when a worker had not started yet', () => {
    const supervisor = new Supervisor(2)
    supervisor.begin()

    expect(supervisor.stop()).toEqual([{ do: 'stop', number: 1 }])
    expect(supervisor.ended(1, { ...failed, code: null, signal: 'SIGTERM', reason: null })).toEqual([
      { do: 'exit', code: 0, reason: null },
    ])
  })

  it('starts no further worker when the first one listens too late', () => {
    const supervisor = new Supervisor(2)
    supervisor.begin()
    supervisor.stop()

    expect(supervisor.listens(1)).toEqual([])
    expect(supervisor.ended(1, drained)).toEqual([{ do: 'exit', code: 0, reason: null }])
  })

  it('exits with 1 when a worker could not save everything in time', () => {
    const supervisor = running()
    supervisor.stop()
    supervisor.ended(1, { ...drained, code: 1 })

    expect(supervisor.ended(2, drained)).toEqual([{ do: 'exit', code: 1, reason: null }])
  })

  it('kills what is left when it may not wait any longer', () => {
    const supervisor = running()
    supervisor.stop()
    supervisor.ended(1, drained)

    expect(supervisor.abandon()).toEqual([
      { do: 'kill', number: 2 },
      { do: 'exit', code: 1, reason: null },
    ])
  })
})
