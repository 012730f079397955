import { type AddressInfo, connect } from 'node:net'
import { expect, it } from 'vitest'
import { testApp } from '../support/test-app.ts'

it.each([
  ['many headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(20_000)}`, 431, 'HEADERS_TOO_LARGE'],
  ['nonsense', 'GET hello\r\n\r\n', 400, 'INVALID_REQUEST'],
])('%s are answered in the one form, and the connection ends', async (_, words, status, code) => {
  const { http } = await testApp()
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo

  const answer = await say(port, words)

  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ error: { code } })
})

// They come in more than one piece, and of the last one nobody can tell that it was no HEAD.
it('headers without end are answered with their status, and the connection ends', async () => {
  const { http } = await testApp()
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo

  expect(await say(port, `GET / HTTP/1.1\r\nx: ${'y'.repeat(66_000)}`)).toMatch(/^HTTP\/1.1 431 /)
})

it('what may have been HEAD is answered without a body', async () => {
  const { http } = await testApp()
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo

  const answers = [await say(port, `HEAD / HTTP/1.1\r\nx: ${'y'.repeat(66_000)}`), await say(port, 'hello\r\n\r\n')]

  expect(answers.map((answer) => /^HTTP\/1.1 (\d+)[\s\S]*content-length: 0\r\n\r\n$/.exec(answer)?.[1])).toEqual([
    '431',
    '400',
  ])
})

/** Everything that is answered until the connection ends. */
function say(port: number, words: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(words))
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(heard))
  })
}
