import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { createRequest } from '../../src/client/request.ts'

/** Starts a server that sends the same response to every request, and counts requests. */
async function startServer(status: number, body: string) {
  const requests = { count: 0 }
  const server = createServer((_, response) => {
    requests.count += 1
    response.writeHead(status, { 'content-type': 'text/html' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

it('a response that is not JSON is a RequestError', async () => {
  const { base } = await startServer(200, '<html>Please sign in to this network</html>')

  await expect(createRequest(base, () => 'token')('GET', '/v1/me')).rejects.toMatchObject({
    name: 'RequestError',
    failure: { code: null, status: 200 },
  })
})

it('a token with characters that a header cannot carry is refused', async () => {
  const { base, requests } = await startServer(200, '{}')

  await expect(createRequest(base, () => 'to\u200bken')('GET', '/v1/me')).rejects.toMatchObject({
    failure: { code: 'UNAUTHENTICATED', status: 401 },
  })
  expect(requests.count).toBe(0)
})
