import { randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import type { CreatedWebhook } from '../../../src/contract/webhooks.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { bodyOf } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'
import { until } from '../../support/until.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'

const settings = { WEBHOOK_HTTP: 'true', WEBHOOK_NETWORKS: '127.0.0.1' }
const root = userOf('root', 'creator', { isAdmin: true })

/** The app, a receiver, and requests of a new user. */
async function open(env: Record<string, string> = {}) {
  const app = await testApp({ ...settings, ...env })
  const receiver = await webhookReceiver()
  const user = userOf(randomUUID(), 'creator')
  return { app, receiver, user, request: requesting(app, user) }
}

function requesting(app: TestApp, actor: Actor) {
  return async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path = '', payload?: object) => {
    const answer = await app.http.inject({
      method,
      url: `/v1/webhooks${path}`,
      headers: await app.as(actor),
      ...(payload && { payload }),
    })
    return { status: answer.statusCode, text: answer.body, json: answer.body === '' ? null : answer.json() }
  }
}

async function upload(app: TestApp, actor: Actor): Promise<string> {
  const { id } = await app.engine.create(actor, { filename: 'a.txt', contentType: 'text/plain', size: 5 })
  await app.engine.append(actor, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' })
  return id
}

describe('a webhook', () => {
  it('is told of an upload from its creation to its completion, signed', async () => {
    const { app, receiver, user, request } = await open()
    const { json: made } = await request('POST', '', { url: receiver.url })
    await app.working

    const uploadId = await upload(app, user)
    await until(() => receiver.received.length >= 2)

    expect(receiver.received.map(({ body }) => [body.type, body.data.uploadId, body.data.seq])).toEqual([
      ['upload.created', uploadId, 1],
      ['upload.completed', uploadId, 2],
    ])
    const { text, headers } = receiver.received[1]!
    // The clock of the test app is that of this machine, with steps.
    expect(new Webhook(made.secret).verify(text, headers as Record<string, string>)).toBeTruthy()
    expect(text).not.toContain('"key"')
  })

  it('shows its secret at creation and rotation only', async () => {
    const { receiver, request } = await open()

    const made = await request('POST', '', { url: receiver.url, events: ['upload.completed'] })
    const { id, secret }: CreatedWebhook = made.json
    const rotated = await request('POST', `/${id}/secret`)
    const shown = [await request('GET'), await request('GET', `/${id}`), await request('PATCH', `/${id}`, {})]

    expect([made.status, rotated.status]).toEqual([201, 200])
    expect(rotated.json.secret).toMatch(/^whsec_/)
    expect(rotated.json.secret).not.toBe(secret)
    expect(rotated.json.oldSecretUntil).not.toBeNull()
    for (const answer of shown) expect(answer.text).not.toContain('whsec_')
    expect(shown[1]!.json).toMatchObject({
      id,
      url: receiver.url,
      events: ['upload.completed'],
      reach: 'own',
      state: 'on',
    })
  })

  it('signs with both secrets while they rotate', async () => {
    const { receiver, request } = await open()
    const { json: made } = await request('POST', '', { url: receiver.url })
    const { json: rotated } = await request('POST', `/${made.id}/secret`)

    await request('POST', `/${made.id}/test`)

    const { text, headers } = receiver.received[0]!
    for (const secret of [made.secret, rotated.secret])
      expect(new Webhook(secret).verify(text, headers as Record<string, string>)).toBeTruthy()
  })

  it('answers a test with the status only, never with the body', async () => {
    const { receiver, request } = await open()
    const { json: made } = await request('POST', '', { url: receiver.url })
    receiver.answerWith((_message, response) => void response.writeHead(418).end('the inner page'))

    const tested = await request('POST', `/${made.id}/test`)

    expect(tested.json).toEqual({ result: 'answered', status: 418, ms: expect.any(Number) })
    expect(receiver.received[0]).toMatchObject({ id: expect.stringMatching(/^test_/), body: { type: 'webhook.test' } })
  })

  it('is tested once at a time', async () => {
    const { receiver, request } = await open()
    const { json: made } = await request('POST', '', { url: receiver.url })
    let answerFirst = () => {}
    receiver.answerWith((_message, response) => {
      answerFirst = () => response.writeHead(204).end()
    })

    const first = request('POST', `/${made.id}/test`)
    await until(() => receiver.received.length === 1)
    const second = await request('POST', `/${made.id}/test`)
    answerFirst()

    expect([second.status, (await first).json.status]).toEqual([429, 204])
  })

  it('is paused, and switched on again', async () => {
    const { receiver, request } = await open()
    const { json: made } = await request('POST', '', { url: receiver.url })

    const paused = await request('PATCH', `/${made.id}`, { state: 'paused' })
    const on = await request('PATCH', `/${made.id}`, { state: 'on' })

    expect(paused.json).toMatchObject({ state: 'paused', pausedBecause: 'request' })
    expect(on.json).toMatchObject({ state: 'on', pausedBecause: null })
  })

  it('lists its deliveries, and sends one again', async () => {
    const { app, receiver, user, request } = await open()
    const { json: made } = await request('POST', '', { url: receiver.url })
    const uploadId = await upload(app, user)
    const path = `/${made.id}/deliveries`
    await until(async () => (await request('GET', `${path}?state=delivered`)).json.deliveries.length === 2)

    const first = await request('GET', `${path}?limit=1`)
    const second = await request('GET', `${path}?limit=1&before=${first.json.next}`)
    const retried = await request('POST', `${path}/${second.json.deliveries[0].id}/retry`)
    const unknown = await request('POST', `${path}/999999999/retry`)
    await until(() => receiver.received.length === 3)

    expect(first.json.deliveries).toMatchObject([
      { uploadId, seq: 2, type: 'upload.completed', attempts: 1, lastStatus: 204, nextAt: null },
    ])
    expect(second.json).toMatchObject({ deliveries: [{ seq: 1, webhookId: receiver.received[0]!.id }], next: null })
    expect([retried.status, unknown.status]).toEqual([202, 404])
    expect(receiver.received[2]!.id).toBe(receiver.received[0]!.id)
  })

  it('replays a range of time, or one upload', async () => {
    const { app, receiver, user, request } = await open()
    await request('POST', '', { url: receiver.url })
    const uploadId = await upload(app, user)
    // Events that were fanned out before the other webhook was created.
    await until(() => receiver.received.length === 2)
    const { json: made } = await request('POST', '', { url: receiver.url, events: ['upload.created'] })
    const range = { since: '2020-01-01T00:00:00+01:00' }

    const dead = await request('POST', `/${made.id}/replay`, range)
    const all = await request('POST', `/${made.id}/replay`, { ...range, only: 'all' })
    const other = await request('POST', `/${made.id}/replay`, { ...range, only: 'upload', uploadId: randomUUID() })
    const unnamed = await request('POST', `/${made.id}/replay`, { ...range, only: 'upload' })
    await until(() => receiver.received.length === 3)

    expect([dead.json.replayed, all.json.replayed, other.json.replayed]).toEqual([0, 1, 0])
    expect([all.status, unnamed.status, unnamed.json.error.code]).toEqual([202, 400, 'MISSING_FIELD'])
    expect(receiver.received[2]!.body).toMatchObject({ type: 'upload.created', data: { uploadId, seq: 1 } })
  })
})

describe('POST /v1/webhooks', () => {
  it.each([
    ['no URL', {}],
    ['a URL that is none', { url: 'here' }],
    ['a URL without TLS', { url: 'http://a.example/' }],
    ['a private address', { url: 'https://10.0.0.1/' }],
    ['the address of a metadata service', { url: 'https://169.254.169.254/' }],
    ['a password', { url: 'https://a:b@a.example/' }],
    ['a long URL', { url: `https://a.example/${'a'.repeat(2048)}` }],
    ['an unknown event', { url: 'https://a.example/', events: ['upload.eaten'] }],
  ])('refuses %s', async (_what, body) => {
    const { request } = await open({ WEBHOOK_HTTP: 'false', WEBHOOK_NETWORKS: '' })

    const refused = await request('POST', '', body)

    expect(refused.status).toBe(400)
    expect((await request('GET')).json.webhooks).toEqual([])
  })

  it('refuses one more than a user may have, also at the same time', async () => {
    const { request } = await open({ WEBHOOKS_PER_USER: '3' })
    const creation = { url: 'https://a.example/' }

    const made = await Promise.all(Array.from({ length: 6 }, () => request('POST', '', creation)))
    const statuses = made.map(({ status }) => status).toSorted()

    expect(statuses).toEqual([201, 201, 201, 403, 403, 403])
    await request('DELETE', `/${made.find(({ status }) => status === 201)!.json.id}`)
    expect((await request('POST', '', creation)).status).toBe(201)
  })

  it('lets only administrators have all events, and list the webhooks of all', async () => {
    const { app, request } = await open()
    const creation = { url: 'https://a.example/', reach: 'all' }
    const asRoot = requesting(app, root)
    const own = await request('POST', '', { url: 'https://b.example/' })

    const made = await asRoot('POST', '', creation)

    expect([made.status, (await request('POST', '', creation)).status]).toEqual([201, 403])
    expect([(await request('GET', '?all=true')).status, (await asRoot('GET', '?all=true')).status]).toEqual([403, 200])
    expect((await asRoot('GET', '?all=true')).text).toContain(own.json.id)
    expect((await asRoot('GET')).text).not.toContain(own.json.id)
  })

  it('gives a former administrator no hold on a webhook for all uploads', async () => {
    const { app, user } = await open()
    const made = await requesting(app, { ...user, isAdmin: true })('POST', '', {
      url: 'https://a.example/',
      reach: 'all',
    })

    const asUser = requesting(app, user)

    expect([made.status, (await asUser('GET', `/${made.json.id}`)).status]).toEqual([201, 404])
  })
})

it('audits what was done with a webhook, without the path of its URL', async () => {
  const { app, receiver, request, user } = await open()
  const { json: made } = await request('POST', '', { url: receiver.url })
  await request('PATCH', `/${made.id}`, { state: 'paused' })
  await request('POST', `/${made.id}/secret`)
  await request('POST', `/${made.id}/replay`, { since: '2026-01-01T00:00:00Z' })
  await request('DELETE', `/${made.id}`)

  const url = `/v1/admin/audit?actor=${user.id}`
  const { entries } = (await app.http.inject({ url, headers: await app.as(root) })).json()

  const actions = ['delete', 'replay', 'rotate', 'change', 'create'].map((verb) => `webhook.${verb}`)
  expect(entries.map(({ action }: { action: string }) => action)).toEqual(actions)
  expect(entries.every(({ target }: { target: string }) => target === made.id)).toBe(true)
  expect(JSON.stringify(entries)).not.toMatch(/hook"|whsec_|\/hook\b/)
})
