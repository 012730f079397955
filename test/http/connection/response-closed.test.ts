import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { onResponseClosed } from '../../../src/http/connection/response-closed.ts'

it('all callbacks of a response share one listener and run in order', () => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  const called: number[] = []

  for (let n = 0; n < 12; n += 1) onResponseClosed(response, () => called.push(n))
  const listeners = response.listenerCount('close')
  response.emit('close')

  expect(listeners).toBe(1)
  expect(called).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})
