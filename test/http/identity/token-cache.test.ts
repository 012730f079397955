import { createSecretKey } from 'node:crypto'
import { SignJWT } from 'jose'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import type { TokenCheck } from '../../../src/http/identity/auth.ts'
import { secretCheck, signToken } from '../../../src/http/identity/secret.ts'
import { cacheChecks, cacheMs } from '../../../src/http/identity/token-cache.ts'

const secret = 'a secret that is long enough for HS256'
const ann = userOf('ann', 'creator')

describe('a token that was accepted', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
  })

  it('is cached for some seconds and then verified again', async () => {
    const { check, verified } = counting()
    const token = await signToken(secret, ann, 3600)

    for (const afterMs of [0, 0, cacheMs - 1, 1]) {
      vi.setSystemTime(Date.now() + afterMs)
      expect(await check(token)).toMatchObject(ann)
    }

    expect(verified).toEqual([token, token])
  })

  it('is not cached beyond its exp', async () => {
    const { check } = counting()
    const token = await signToken(secret, ann, 2)
    await check(token)

    vi.setSystemTime(Date.now() + 8000)

    await expect(check(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it('does not make another token of the same user accepted', async () => {
    const { check } = counting()
    const token = await signToken(secret, ann, 3600)
    await check(token)

    expect(await check(`${token.slice(0, -2)}xx`)).toBeNull()
  })
})

it('refused tokens are not cached', async () => {
  const { check, verified } = counting()

  expect(await check('nonsense')).toBeNull()
  expect(await check('nonsense')).toBeNull()

  expect(verified).toHaveLength(2)
})

it('a token that is too long to be cached is verified every time', async () => {
  const { check, verified } = counting()
  const key = createSecretKey(Buffer.from(secret))
  const token = await new SignJWT({ role: 'creator', padding: 'x'.repeat(2048) })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('ann')
    .setExpirationTime('1h')
    .sign(key)

  await check(token)
  await check(token)

  expect(verified).toHaveLength(2)
})

function counting() {
  const verified: string[] = []
  const verify = secretCheck(secret)
  const counted: TokenCheck = (token) => {
    verified.push(token)
    return verify(token)
  }
  return { check: cacheChecks([async () => null, counted]), verified }
}
