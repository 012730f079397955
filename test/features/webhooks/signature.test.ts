import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { newSecret, signedHeaders } from '../../../src/features/webhooks/signature.ts'

// The package refuses messages of another time than its own.
const now = new Date()
const body = JSON.stringify({ type: 'upload.completed', data: { filename: 'naïve – 文件.txt' } })

describe('a signature', () => {
  it('is accepted by the package of Standard Webhooks', () => {
    const secret = newSecret()

    const headers = signedHeaders('evt_1', now, body, [secret])

    expect(secret).toMatch(/^whsec_[\w+/]{43}=$/)
    expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
  })

  it('of two secrets is accepted with either, and with no other', () => {
    const [secret, old] = [newSecret(), newSecret()]

    const headers = signedHeaders('evt_1', now, body, [secret, old])

    expect(new Webhook(secret).verify(body, headers)).toBeTruthy()
    expect(new Webhook(old).verify(body, headers)).toBeTruthy()
    expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow()
  })

  it.each([
    ['another body', { id: 'evt_1', text: `${body} ` }],
    ['another id', { id: 'evt_2', text: body }],
  ])('is not that of %s', (_what, { id, text }) => {
    const secret = newSecret()
    const headers = signedHeaders('evt_1', now, body, [secret])

    expect(() => new Webhook(secret).verify(text, { ...headers, 'webhook-id': id })).toThrow()
  })
})
