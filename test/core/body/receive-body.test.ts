import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { receiveBody } from '../../../src/core/body/receive-body.ts'
import { bodyOf } from '../../support/open-engine.ts'

it('a body that brings too much is told of, and what fails of its last bytes is nobody else to hear', async () => {
  const unheard: unknown[] = []
  const hear = (reason: unknown) => unheard.push(reason)
  process.on('unhandledRejection', hear)

  const end = await receiveBody(bodyOf(Buffer.alloc(20)), {
    limit: 10,
    idleMs: 0,
    minSpeed: 0,
    totalMs: 0,
    signal: new AbortController().signal,
    take: () => Promise.reject(new Error('the store is away')),
  })
  // By then what nobody heard has been told of.
  await nextTurn()
  process.off('unhandledRejection', hear)

  expect([end, unheard]).toEqual(['too-long', []])
})

it('a body that was fast and then drips is ended, however fast it was on the whole', async () => {
  const body = new PassThrough()
  body.write(Buffer.alloc(1024 ** 2))
  const drip = setInterval(() => body.write('x'), 5)
  onTestFinished(() => clearInterval(drip))

  const end = await receiveBody(body, {
    limit: 2 * 1024 ** 2,
    idleMs: 0,
    minSpeed: 1024,
    speedWindowMs: 100,
    totalMs: 0,
    signal: new AbortController().signal,
    take: () => null,
  })

  expect(end).toBe('timeout')
})
