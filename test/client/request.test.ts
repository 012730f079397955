import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { createRequest } from '../../src/client/request.ts'

/** A server that answers everything alike; where it is, and how often it was asked. */
async function answering(status: number, body: string) {
  const asked = { count: 0 }
  const server = createServer((_, response) => {
    asked.count += 1
    response.writeHead(status, { 'content-type': 'text/html' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

it('an answer that is not JSON is a refusal, whoever gave it', async () => {
  const { base } = await answering(200, '<html>Please sign in to this network</html>')

  await expect(createRequest(base, () => 'token')('GET', '/v1/me')).rejects.toMatchObject({
    name: 'Refusal',
    failure: { code: null, status: 200 },
  })
})

it('a token that no header can carry is a token that is not accepted', async () => {
  const { base, asked } = await answering(200, '{}')

  await expect(createRequest(base, () => 'to\u200bken')('GET', '/v1/me')).rejects.toMatchObject({
    failure: { code: 'UNAUTHENTICATED', status: 401 },
  })
  expect(asked.count).toBe(0)
})
