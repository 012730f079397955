import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Overrides } from '../../../src/app/app.ts'
import { signInFolder } from '../../../src/app/development.ts'
import { findAudit } from '../../../src/features/audit/log.ts'
import { codeMs, createSignInCode, redeemSignInCode } from '../../../src/http/identity/sign-in-codes.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { testApp } from '../../support/test-app.ts'

const ann = { user: 'ann', role: 'member' }

describe('the sign-in of development mode', () => {
  it('exchanges a one-time code for a short-lived token without admin rights', async () => {
    const { http, newCode, signIn } = await developmentApp()

    const answer = await signIn(await newCode())
    const { token, ...rest } = answer.json()
    const me = await http.inject({ url: '/v1/me', headers: { authorization: `Bearer ${token}` } })

    expect(answer.statusCode).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(rest).toEqual({ ...ann, expiresAt: expect.any(String) })
    expect(me.json()).toMatchObject({ user: 'ann', role: 'member', admin: false })
    const { exp = 0, iat = 0 } = decodeJwt(token)
    expect((exp - iat) / 3600).toBeLessThanOrEqual(12)
  })

  it('accepts a code once, also from concurrent requests', async () => {
    const { newCode, signIn } = await developmentApp()
    const code = await newCode()

    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => signIn(code)))

    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([200, 401, 401, 401, 401])
  })

  it('refuses an expired code', async () => {
    const now = new Date()
    const { newCode, signIn } = await developmentApp({ now: () => now })

    const late = await signIn(await newCode(new Date(now.getTime() - codeMs)))
    const inTime = await signIn(await newCode(new Date(now.getTime() - codeMs + 1)))

    expect([late.statusCode, inTime.statusCode]).toEqual([401, 200])
  })

  it.each([
    ['no code', {}, 400],
    ['an empty code', { code: '' }, 400],
    ['a code of another type', { code: { $ne: 1 } }, 400],
    ['a code that is too long', { code: 'x'.repeat(257) }, 400],
    ['a path', { code: '../jwt-secret' }, 401],
    ['a wrong code', { code: 'x'.repeat(43) }, 401],
    ['a body that is too large', { code: 'x'.repeat(5000) }, 413],
  ])('refuses %s', async (_what, payload, status) => {
    const { http, newCode } = await developmentApp()
    await newCode()

    const answer = await http.inject({ method: 'POST', url: '/v1/dev/sign-in', payload })

    expect(answer.statusCode).toBe(status)
    expect(answer.body).not.toContain('jwt-secret')
  })

  it('limits attempts per minute and network', async () => {
    const { signIn } = await developmentApp()

    const answers = []
    for (let attempt = 0; attempt < 15; attempt += 1) answers.push(await signIn('wrong'))

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([...Array(10).fill(401), ...Array(5).fill(429)])
    expect(Number(answers.at(-1)?.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('writes each token that it issues to the audit log, without code or token', async () => {
    const { newCode, signIn } = await developmentApp()
    const database = await testDatabase()
    const user = `ann-${Date.now()}`
    const code = await newCode(new Date(), { user, role: 'member' })

    const { token } = (await signIn(code)).json()

    const [entry] = await findAudit(database, { limit: 1, actor: user })
    expect(entry).toMatchObject({ action: 'token.issue', isAllowed: true, role: 'member', address: '127.0.0.1' })
    expect(JSON.stringify(entry)).not.toContain(code)
    expect(JSON.stringify(entry)).not.toContain(token)
  })

  it('is not readable by a page on another origin, whatever CORS_ORIGINS says', async () => {
    const { newCode, signIn } = await developmentApp({}, { CORS_ORIGINS: '*' })

    const answer = await signIn(await newCode(), { origin: 'https://evil.example' })

    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  it('does not exist in production', async () => {
    const { http } = await testApp({ NODE_ENV: 'production', DATABASE_URL: 'postgres://elsewhere/landfall' })

    const answer = await http.inject({ method: 'POST', url: '/v1/dev/sign-in', payload: { code: 'x' } })

    expect(answer.statusCode).toBe(404)
  })
})

it.each(['/v1/dev-token', '/v1/dev-token?user=x&role=creator&admin=true', '/v1/dev/sign-in'])(
  'a loopback address alone gives no token: GET %s',
  async (url) => {
    const { http } = await developmentApp()

    const answer = await http.inject({ url, headers: { host: 'localhost:1080' } })

    expect(answer.statusCode).toBe(404)
  },
)

describe('one-time codes', () => {
  it('have 256 bits and are not stored themselves', async () => {
    const folder = await temporary()

    const codes = await Promise.all([1, 2, 3].map(() => createSignInCode(folder, ann, new Date())))

    expect(new Set(codes).size).toBe(3)
    for (const code of codes) expect(Buffer.from(code, 'base64url')).toHaveLength(32)
    for (const name of await readdir(folder)) {
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
      for (const code of codes) expect(name + (await readFile(join(folder, name), 'utf8'))).not.toContain(code)
      expect(await redeemSignInCode(folder, name, new Date())).toBeNull()
    }
  })

  it('leave no file after they are used or have expired', async () => {
    const folder = await temporary()
    const now = new Date()
    await createSignInCode(folder, ann, new Date(now.getTime() - codeMs))

    const code = await createSignInCode(folder, ann, now)
    expect(await readdir(folder)).toHaveLength(1)

    expect(await redeemSignInCode(folder, code, now)).toEqual(ann)
    expect(await redeemSignInCode(folder, code, now)).toBeNull()
    expect(await readdir(folder)).toEqual([])
  })

  it('are not accepted if the folder does not exist', async () => {
    expect(await redeemSignInCode('/nowhere/sign-in', 'x', new Date())).toBeNull()
  })
})

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-sign-in-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** An app in development mode: no JWT_SECRET and a DATA_DIR of its own. */
async function developmentApp(overrides: Overrides = {}, env: Record<string, string> = {}) {
  const DATA_DIR = await temporary()
  const { http } = await testApp(
    { NODE_ENV: 'development', JWT_SECRET: '', DATABASE_URL: '', DATA_DIR, ...env },
    overrides,
  )
  return {
    http,
    newCode: (at = new Date(), user = ann) => createSignInCode(signInFolder({ DATA_DIR }), user, at),
    signIn: (code: string, headers = {}) =>
      http.inject({ method: 'POST', url: '/v1/dev/sign-in', headers, payload: { code } }),
  }
}
