import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { receiveBody } from '../../../src/core/body/receive-body.ts'
import { bodyOf } from '../../support/open-engine.ts'

it('a body that is too long ends so, even when the store fails for its last bytes', async () => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', onUnhandled)

  const end = await receiveBody(bodyOf(Buffer.alloc(20)), {
    limit: 10,
    idleMs: 0,
    minSpeed: 0,
    totalMs: 0,
    signal: new AbortController().signal,
    take: () => Promise.reject(new Error('the store is down')),
  })
  // Unhandled rejections are reported by then.
  await nextTurn()
  process.off('unhandledRejection', onUnhandled)

  expect([end, unhandled]).toEqual(['too-long', []])
})

it('a body that becomes too slow is ended, however fast it was before', async () => {
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
