import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { onResponseClosed } from '../../../src/http/connection/response-closed.ts'

it('all who wait for the end of an answer share one listener, in their order', () => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  const heard: number[] = []

  for (let each = 0; each < 12; each += 1) onResponseClosed(response, () => heard.push(each))
  const listeners = response.listenerCount('close')
  response.emit('close')

  expect(listeners).toBe(1)
  expect(heard).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})
