import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { subscribeToEvents, type UploadEvent } from '../../src/client/event-stream.ts'
import { until } from '../support/until.ts'

it('tells events however they are cut, and goes on after the last one when the connection broke', async () => {
  const asked: { token: string | undefined; after: string | string[] | undefined }[] = []
  const told: UploadEvent[] = []
  const connections: boolean[] = []
  const answers = [
    (response: ServerResponse) => {
      response.write('retry: 3000\n\n: still here\n\nid: 7\nevent: upload.created\nda')
      void until(() => connections.length > 0)
        .then(() => response.write('ta: {"uploadId":"film"}\n\n'))
        .then(() => until(() => told.length > 0))
        .then(() => response.destroy())
    },
    (response: ServerResponse) => void response.write('id: 8\nevent: upload.completed\ndata: {"uploadId":"film"}\n\n'),
  ]
  const server = createServer(({ headers }, response) => {
    asked.push({ token: headers.authorization, after: headers['last-event-id'] })
    response.setHeader('content-type', 'text/event-stream')
    answers[asked.length - 1]?.(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const end = subscribeToEvents({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/events`,
    token: () => 'secret',
    onEvent: (event) => told.push(event),
    onConnection: (isOpen) => connections.push(isOpen),
  })
  onTestFinished(() => {
    end()
    server.closeAllConnections()
    server.close()
  })
  await expect.poll(() => told.length).toBe(2)

  expect(told.map(({ type }) => type)).toEqual(['upload.created', 'upload.completed'])
  expect(asked).toEqual([
    { token: 'Bearer secret', after: undefined },
    { token: 'Bearer secret', after: '7' },
  ])
  expect(connections).toEqual([true, false, true])
})
