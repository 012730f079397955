import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { tokenOf } from '../support/issuer.ts'
import { startNodeProcess } from '../support/node-process.ts'
import { freshDatabase } from '../support/postgres.ts'

const secret = 'swordfish-of-the-server-0123456789abcdef'
const issuerSecret = 'swordfish-of-the-issuer-0123456789abcdef'
const tus = { 'tus-resumable': '1.0.0' }

it('writes no secret, token or key to the log or to a response, even on errors', async () => {
  const { url, log, database } = await serve()
  const plain = await signToken(secret, userOf('ann', 'creator'), 600)
  const admin = await signToken(secret, userOf('root', 'creator', { isAdmin: true }), 600)
  const expired = await signToken(secret, userOf('ann', 'creator'), -600)
  const issued = await tokenOf({ alg: 'HS256', privateKey: Buffer.from(issuerSecret) })
  const foreign = await tokenOf({ alg: 'HS256', privateKey: Buffer.from(issuerSecret) }, { aud: 'another' })
  const answers: string[] = []
  async function request(token: string, path: string, init: RequestInit = {}) {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` }
    const response = await fetch(url + path, { ...init, headers })
    answers.push(await response.text())
    return { response, text: answers.at(-1)! }
  }

  const creation = { name: 'x', role: 'creator', scopes: ['upload', 'read'] }
  const json = { 'content-type': 'application/json' }
  const made = await request(admin, '/v1/admin/keys', { method: 'POST', headers: json, body: JSON.stringify(creation) })
  const key: string = JSON.parse(made.text).token
  answers.pop()
  const created = await request(plain, '/files', { method: 'POST', headers: { ...tus, 'upload-length': '5' } })
  const resume = created.response.headers.get('upload-resume-token')!
  const upload = created.response.headers.get('location')!
  const tokens = [plain, admin, expired, issued, foreign, key, resume, `${key}x`, `${resume}x`]
  for (const token of tokens) {
    await request(token, '/v1/me')
    await request(token, upload, { method: 'PATCH', headers: tus, body: 'hello' })
    await request(token, `/v1/uploads?token=${token}&limit=many`)
    await request(token, `/nowhere?access_token=${token}`, { headers: { 'x-api-key': token, cookie: `s=${token}` } })
    await request(token, '/v1/admin/keys', { method: 'POST', headers: json, body: `{"token":"${token}"` })
  }
  // Without the database, errors are logged with their causes.
  await database.dispose()
  await request(key, '/v1/me')
  await request(plain, '/v1/uploads')
  // The log arrives through a pipe, a moment after the response.
  await expect.poll(log).toContain('INTERNAL_ERROR')

  for (const one of [...tokens, secret, issuerSecret, 'swordfish']) {
    expect(log()).not.toContain(one)
    expect(answers.join('\n')).not.toContain(one)
  }
  expect(log()).toContain('"code":"UNAUTHENTICATED"')
})

async function serve() {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-secrets-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const database = await freshDatabase({ isMigrated: true })
  const issuer = { name: 'example', issuer: 'https://issuer.example', audience: 'landfall', secret: issuerSecret }
  const server = await startNodeProcess({
    environment: {
      NODE_ENV: 'production',
      LOG_LEVEL: 'trace',
      DATABASE_URL: database.url,
      DATABASE_TIMEOUT: '2s',
      DATA_DIR: folder,
      JWT_SECRET: secret,
      ISSUERS: JSON.stringify([issuer]),
    },
  })
  onTestFinished(() => server.kill())
  return { url: server.url, log: server.log, database }
}
