import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { resumeCheck, resumeTokens } from '../../../src/http/identity/resume.ts'
import { secretCheck, signToken } from '../../../src/http/identity/secret.ts'
import { watchBodies } from '../../support/arrival.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

const secret = 'a secret that is long enough for HS256'
const ann = userOf('ann', 'creator', { tenant: 'acme' })
const id = randomUUID()

describe('a resume token', () => {
  it('authenticates its owner for one upload', async () => {
    const token = resumeTokens(secret)(ann, { id })

    expect(await resumeCheck(secret)(token)).toEqual({ ...ann, resumeUploadId: id })
  })

  it('carries the scopes and key of its owner, but no admin rights', async () => {
    const actor: Actor = { ...ann, id: 'key:1', isAdmin: true, scopes: ['upload'], keyId: 'k' }

    const token = resumeTokens(secret)(actor, { id })

    expect(await resumeCheck(secret)(token)).toEqual({ ...actor, isAdmin: false, resumeUploadId: id })
  })

  it('is accepted by no other check, and its check accepts no other token', async () => {
    const token = resumeTokens(secret)(ann, { id })
    const plain = await signToken(secret, ann, 60)
    const forged = await new SignJWT({ role: 'creator', upload: id })
      .setProtectedHeader({ alg: 'HS256', typ: 'landfall-resume+jwt' })
      .setAudience('landfall:resume')
      .setSubject('ann')
      .sign(Buffer.from(secret))

    expect(await secretCheck(secret)(token)).toBeNull()
    for (const other of [plain, forged, `${token}x`, '', 'lf_x']) expect(await resumeCheck(secret)(other)).toBeNull()
    expect(await resumeCheck(secret.toUpperCase())(token)).toBeNull()
  })
})

describe('a client whose token expires during an upload', () => {
  it('resumes in tus', async () => {
    const { app, token, url } = await create('tus')

    const first = await patch(app, url, 0, 'hel', token)
    const head = await app.http.inject({ method: 'HEAD', url, headers: { ...bearer(token), ...tus } })
    const last = await patch(app, url, 3, 'lo', token)

    expect([first.statusCode, head.headers['upload-offset'], last.statusCode]).toEqual([204, '3', 204])
    expect([...app.store.objects.values()].map(String)).toEqual(['hello'])
  })

  it('resumes in RUFH', async () => {
    const { app, token, url } = await create('rufh')
    const headers = {
      ...bearer(token),
      'upload-draft-interop-version': '8',
      'content-type': 'application/partial-upload',
    }

    const answer = await app.http.inject({
      method: 'PATCH',
      url,
      headers: { ...headers, 'upload-offset': '0', 'upload-complete': '?1' },
      payload: 'hello',
    })

    expect(answer.statusCode).toBe(201)
    expect([...app.store.objects.values()].map(String)).toEqual(['hello'])
  })

  it('resumes in the REST API', async () => {
    const { app, token, url } = await create('rest')
    const headers = bearer(token)

    const sent = await app.http.inject({
      method: 'PUT',
      url: `${url}/chunk`,
      headers: { ...headers, 'x-chunk-index': '0', 'content-type': 'application/octet-stream' },
      payload: 'hello',
    })
    const completed = await app.http.inject({ method: 'POST', url: `${url}/complete`, headers })

    expect([sent.statusCode, completed.json().status]).toEqual([200, 'completed'])
  })

  it('gets the token in the 104 response, before its connection breaks', async () => {
    const app = await listening()
    const arrived = watchBodies(app.http.server)
    const { port } = app.http.server.address() as AddressInfo
    const sending = request({ port, method: 'POST', path: '/files', headers: { ...(await app.as()), ...rufh } })
    // The test destroys the connection.
    sending.on('error', () => {})
    sending.write('hel')

    const [{ statusCode, headers }] = (await once(sending, 'information')) as [{ statusCode: number; headers: Headers }]
    await arrived(3)
    sending.destroy()

    expect(statusCode).toBe(104)
    const answer = await app.http.inject({
      method: 'HEAD',
      url: headers['location']!,
      headers: bearer(headers['upload-resume-token']!),
    })
    expect([answer.statusCode, answer.headers['upload-offset']]).toEqual([204, '3'])
  })

  it('may cancel the upload, but not delete the completed file', async () => {
    const { app, token, url } = await create('tus')
    const cancel = () => app.http.inject({ method: 'DELETE', url, headers: { ...bearer(token), ...tus } })
    await patch(app, url, 0, 'hello', token)

    expect((await cancel()).statusCode).toBe(409)
    expect(app.store.objects.size).toBe(1)
    const other = await create('tus')
    const { statusCode } = await other.app.http.inject({
      method: 'DELETE',
      url: other.url,
      headers: { ...bearer(other.token), ...tus },
    })
    expect(statusCode).toBe(204)
  })

  it('may read the token on a page of another origin', async () => {
    const app = await testApp()
    const headers = { ...(await app.as()), origin: 'https://app.example' }

    const answers = await Promise.all([
      app.http.inject({ method: 'POST', url: '/files', headers: { ...headers, ...tus, 'upload-length': '5' } }),
      app.http.inject({ method: 'POST', url: '/files', headers: { ...headers, ...rufh } }),
      app.http.inject({ method: 'POST', url: '/v1/uploads/init', headers, payload: { file_name: 'a', total_size: 5 } }),
    ])

    for (const { headers: received } of answers) {
      expect(received['upload-resume-token']).toMatch(/^eyJ/)
      expect(received['access-control-expose-headers']).toContain('Upload-Resume-Token')
    }
  })
})

describe('an API key that is revoked while a body is arriving', () => {
  it('keeps every byte of the body and does not complete the upload', async () => {
    const app = await listening()
    const root = await app.as(userOf('root', 'creator', { isAdmin: true }))
    const made = await app.http.inject({
      method: 'POST',
      url: '/v1/admin/keys',
      headers: root,
      payload: { name: 'importer', role: 'creator', user: 'ada', scopes: ['upload'] },
    })
    const bytes = randomBytes(100_000)
    const created = await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...bearer(made.json().token), ...tus, 'upload-length': String(bytes.length) },
    })
    const url = created.headers.location!
    const resume = String(created.headers['upload-resume-token'])

    const arrived = watchBodies(app.http.server)
    const sending = send(app, url, made.json().token, bytes.length)
    sending.write(bytes.subarray(0, 50_000))
    await arrived(50_000)
    await app.http.inject({ method: 'DELETE', url: `/v1/admin/keys/${made.json().id}`, headers: root })
    sending.end(bytes.subarray(50_000))
    const [answer] = await once(sending, 'response')

    expect(answer.statusCode).toBe(401)
    for (const token of [made.json().token, resume]) {
      const head = await app.http.inject({ method: 'HEAD', url, headers: { ...bearer(token), ...tus } })
      expect(head.statusCode).toBe(401)
    }
    const own = { ...(await app.as()), ...tus }
    const head = await app.http.inject({ method: 'HEAD', url, headers: own })
    expect([head.statusCode, head.headers['upload-offset']]).toEqual([200, '100000'])
    expect([...app.store.objects.values()]).toContainEqual(bytes)
  })
})

describe('a request that is not authenticated', () => {
  const invalidTokens = [
    ['no token', async () => ({})],
    ['an expired token', async () => bearer(await signToken(secret, userOf('ada', 'creator'), -60))],
    ['nonsense', async () => bearer('nonsense')],
    ['an unknown API key', async () => bearer(`lf_${'a'.repeat(43)}`)],
    ['the resume token of another upload', async () => bearer(resumeTokens(secret)(userOf('ada', 'creator'), { id }))],
  ] as [string, () => Promise<Record<string, string>>][]

  it.each(invalidTokens)('deletes nothing: %s', async (_what, headersOf) => {
    const { app, url, token } = await create('tus')
    await patch(app, url, 0, 'hel', token)
    const path = `/v1/uploads/${url.split('/').at(-1)}`
    const headers = await headersOf()

    const answers = await Promise.all([
      app.http.inject({ method: 'DELETE', url, headers: { ...headers, ...tus } }),
      app.http.inject({ method: 'DELETE', url, headers }),
      app.http.inject({ method: 'DELETE', url: path, headers }),
      app.http.inject({ method: 'POST', url: `${path}/cancel`, headers }),
      patch(app, url, 3, 'xx', headers['authorization']?.slice(7) ?? ''),
      app.http.inject({ method: 'HEAD', url, headers: { ...headers, ...tus } }),
    ])

    expect(answers.every(({ statusCode }) => [401, 404].includes(statusCode))).toBe(true)
    expect((await patch(app, url, 3, 'lo', token)).statusCode).toBe(204)
    expect([...app.store.objects.values()].map(String)).toEqual(['hello'])
  })
})

type Headers = Record<string, string>
const tus = { 'tus-resumable': '1.0.0' }
const rufh = { 'upload-draft-interop-version': '8', 'upload-complete': '?0', 'upload-length': '5' }
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })

/** Creates an upload of five bytes in `protocol`. Returns its address and resume token. */
async function create(protocol: 'tus' | 'rufh' | 'rest') {
  const app = await testApp()
  const headers = await app.as()
  if (protocol === 'rest') {
    const payload = { file_name: 'a.txt', total_size: 5 }
    const answer = await app.http.inject({ method: 'POST', url: '/v1/uploads/init', headers, payload })
    expect(answer.json().resume_token).toBe(answer.headers['upload-resume-token'])
    return { app, url: answer.headers.location!, token: answer.json().resume_token as string }
  }
  const protocolHeaders = protocol === 'tus' ? { ...tus, 'upload-length': '5' } : rufh
  const answer = await app.http.inject({ method: 'POST', url: '/files', headers: { ...headers, ...protocolHeaders } })
  return { app, url: answer.headers.location!, token: String(answer.headers['upload-resume-token']) }
}

function patch({ http }: TestApp, url: string, offset: number, payload: string, token: string) {
  const headers = {
    ...bearer(token),
    ...tus,
    'upload-offset': String(offset),
    'content-type': 'application/offset+octet-stream',
  }
  return http.inject({ method: 'PATCH', url, headers, payload })
}

function send({ http }: TestApp, path: string, token: string, length: number) {
  const { port } = http.server.address() as AddressInfo
  const chunk = { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream', 'content-length': length }
  return request({ port, method: 'PATCH', path, headers: { ...bearer(token), ...tus, ...chunk } })
}

async function listening(): Promise<TestApp> {
  const app = await testApp()
  await app.http.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.http.server.closeAllConnections())
  return app
}
