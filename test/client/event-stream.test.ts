import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { subscribeToEvents, type UploadEvent } from '../../src/client/event-stream.ts'
import { until } from '../support/until.ts'

it('parses events split across chunks, and resumes after the last event id', async () => {
  const requests: { token: string | undefined; after: string | string[] | undefined }[] = []
  const events: UploadEvent[] = []
  const connections: boolean[] = []
  const responses = [
    (response: ServerResponse) => {
      response.write('retry: 3000\n\n: still here\n\nid: 7\nevent: upload.created\nda')
      void until(() => connections.length > 0)
        .then(() => response.write('ta: {"uploadId":"film"}\n\n'))
        .then(() => until(() => events.length > 0))
        .then(() => response.destroy())
    },
    (response: ServerResponse) => void response.write('id: 8\nevent: upload.completed\ndata: {"uploadId":"film"}\n\n'),
  ]
  const server = createServer(({ headers }, response) => {
    requests.push({ token: headers.authorization, after: headers['last-event-id'] })
    response.setHeader('content-type', 'text/event-stream')
    responses[requests.length - 1]?.(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const unsubscribe = subscribeToEvents({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/events`,
    token: () => 'secret',
    onEvent: (event) => events.push(event),
    onConnection: (isOpen) => connections.push(isOpen),
  })
  onTestFinished(() => {
    unsubscribe()
    server.closeAllConnections()
    server.close()
  })
  await expect.poll(() => events.length).toBe(2)

  expect(events.map(({ type }) => type)).toEqual(['upload.created', 'upload.completed'])
  expect(requests).toEqual([
    { token: 'Bearer secret', after: undefined },
    { token: 'Bearer secret', after: '7' },
  ])
  expect(connections).toEqual([true, false, true])
})
