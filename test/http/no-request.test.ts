import { type AddressInfo, connect } from 'node:net'
import { expect, it } from 'vitest'
import { testApp } from '../support/test-app.ts'

it.each([
  ['many headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(20_000)}`, 431, 'HEADERS_TOO_LARGE'],
  ['nonsense', 'GET hello\r\n\r\n', 400, 'INVALID_REQUEST'],
])('%s are answered in the common form, and the connection ends', async (_, text, status, code) => {
  const { http } = await testApp()
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo

  const answer = await sendRaw(port, text)

  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ error: { code } })
})

// The headers arrive in several reads, and the last read does not show whether the method was HEAD, so the answer has no body.
it('headers without end are answered with 431, and the connection ends', async () => {
  const { http } = await testApp()
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo

  expect(await sendRaw(port, `GET / HTTP/1.1\r\nx: ${'y'.repeat(66_000)}`)).toMatch(/^HTTP\/1.1 431 /)
})

it('a malformed request that may have been HEAD is answered without a body', async () => {
  const { http } = await testApp()
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo

  const answers = [
    await sendRaw(port, `HEAD / HTTP/1.1\r\nx: ${'y'.repeat(66_000)}`),
    await sendRaw(port, 'hello\r\n\r\n'),
  ]

  expect(answers.map((answer) => /^HTTP\/1.1 (\d+)[\s\S]*content-length: 0\r\n\r\n$/.exec(answer)?.[1])).toEqual([
    '431',
    '400',
  ])
})

/** Sends `text` and returns all bytes that the server sends until the connection ends. */
function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
  })
}
