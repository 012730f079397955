import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { openRaw, parseAnswer } from '../../support/raw-http.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

const MiB = 1024 ** 2

async function create(app: TestApp, size = 10): Promise<string> {
  const payload = { file_name: 'a.bin', total_size: size }
  const answer = await app.http.inject({
    method: 'POST',
    url: '/v1/uploads/init',
    headers: await app.as({ id: 'ann', role: 'creator' }),
    payload,
  })
  return answer.json().upload_id
}

/** Status and code of the answer to a request that announces `length` bytes of JSON and sends none of them. */
async function announce(app: TestApp, line: string, length: number, more: Record<string, string> = {}, user = 'eve') {
  if (!app.http.server.listening) await app.http.listen({ host: '127.0.0.1', port: 0 })
  const connection = await openRaw((app.http.server.address() as AddressInfo).port)
  const headers = Object.entries({ ...(await app.as({ id: user, role: 'creator' })), ...more })
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  await connection.send(
    `${line} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${lines}\r\n`,
  )
  await connection.until(/\r\n\r\n.*\}\s*$/s)
  const answer = parseAnswer(connection.received())!
  connection.cut()
  return [answer.status, (answer.json().error as { code: string }).code]
}

describe('the JSON body of a request about an upload of another user', () => {
  it.each([
    ['POST /v1/uploads/:id/complete', {}],
    ['POST /v1/uploads/:id/cancel', {}],
    ['PUT /v1/uploads/:id/fingerprint', {}],
    ['POST /api/upload/complete', { 'X-Upload-Id': ':id' }],
    ['POST /api/upload/cancel', { 'X-Upload-Id': ':id' }],
  ])('is not waited for before 404: %s', async (line, headers) => {
    const app = await testApp()
    const id = await create(app)
    const named = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace(':id', id)]))

    expect(await announce(app, line.replace(':id', id), 500, named)).toEqual([404, 'UPLOAD_NOT_FOUND'])
  })
})

describe('a JSON body', () => {
  it.each([
    ['POST /v1/uploads/:id/complete', 12 * MiB],
    ['POST /v1/uploads/:id/complete', 40_000],
    ['POST /v1/uploads/:id/cancel', 40_000],
    ['POST /api/upload/complete', 40_000],
    ['POST /v1/uploads/init', MiB],
  ] as const)('longer than the upload can need is refused before it arrives: %s of %i', async (line, length) => {
    const app = await testApp()
    const id = await create(app)

    expect(await announce(app, line.replace(':id', id), length, {}, 'ann')).toEqual([413, 'FILE_TOO_LARGE'])
  })

  it.each([
    ['nests too deeply', `{"parts":${'['.repeat(5000)}`],
    ['nests too deeply and is closed', `{"parts":${'['.repeat(500)}${']'.repeat(500)}}`],
    ['has too many names', `{${Array(3000).fill('"":1').join(',')}}`],
    ['has too many values', `{"parts":[${Array(5000).fill(1).join(',')}]}`],
  ])('that %s is refused without parsing', async (_what, payload) => {
    const app = await testApp()
    const id = await create(app)

    const answer = await app.http.inject({
      method: 'POST',
      url: `/v1/uploads/${id}/complete`,
      headers: { ...(await app.as({ id: 'ann', role: 'creator' })), 'content-type': 'application/json' },
      payload,
    })

    expect(answer.statusCode).toBe(400)
    expect(answer.json().error.message).toMatch(/nests more than|has more than/)
  })
})
