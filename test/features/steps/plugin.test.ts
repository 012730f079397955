import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { UploadSteps } from '../../../src/contract/steps.ts'
import { userOf } from '../../../src/core/upload.ts'
import { availabilityOf } from '../../../src/features/steps/timeline.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { sharedApp } from '../../support/test-app.ts'

const admin = userOf('root', 'creator', { isAdmin: true })

async function query(text: string, values: unknown[]): Promise<unknown[]> {
  return (await testDatabase()).query({ name: `test-${text}`.slice(0, 60), text }, values)
}

/** A completed file of ada with the content `content` and a step `scan` as `step` says. */
async function fileWith(content: string, step: string): Promise<string> {
  const app = await sharedApp()
  const { json } = await app.http.inject({
    method: 'PUT',
    url: '/v1/files/a.txt',
    headers: { ...(await app.as()), 'content-type': 'text/plain' },
    payload: 'some bytes',
  })
  const { id } = json<{ id: string }>()
  await query('update contents set state = $2 where id = $1', [id, content])
  await query(
    `insert into steps (content_id, name, version, is_blocking, priority, attempts, crashes, next_at, created_at, state, outcome, reason)
      select $1, 'scan', 1, true, 0, 8, 2, now() + interval '1 hour', now(), state, outcome, reason
      from jsonb_to_record($2::jsonb) as step(state text, outcome text, reason text)`,
    [id, step],
  )
  return id
}

async function ask(
  method: 'GET' | 'POST',
  url: string,
  actor?: Parameters<Awaited<ReturnType<typeof sharedApp>>['as']>[0],
) {
  const app = await sharedApp()
  return app.http.inject({ method, url, headers: await app.as(actor) })
}

const dead = JSON.stringify({ state: 'dead', reason: 'the scanner cannot be reached' })
const hold = JSON.stringify({ state: 'done', outcome: 'hold', reason: 'too large' })
const reject = JSON.stringify({ state: 'done', outcome: 'reject', reason: 'Eicar' })

describe('what followed an upload', () => {
  it('tells the owner and an admin whether the file is available, and why not', async () => {
    const id = await fileWith('held', hold)

    for (const actor of [undefined, admin]) {
      const response = await ask('GET', `/v1/uploads/${id}/steps`, actor)
      expect(response.statusCode).toBe(200)
      expect(response.json()).toMatchObject({
        available: 'blocked',
        reason: 'too large',
        steps: [{ name: 'scan', blocking: true, state: 'done', outcome: 'hold', attempts: 8, nextAt: null }],
      })
    }
  })

  it.each([
    ['live', { state: 'done', outcome: 'pass' }, 'yes', null],
    ['held', { state: 'waiting' }, 'checking', null],
    ['held', { state: 'running', reason: 'away' }, 'checking', null],
    ['held', { state: 'dead', reason: 'away' }, 'blocked', 'away'],
    ['held', { state: 'failed', reason: 'never' }, 'blocked', 'never'],
    ['quarantined', { state: 'done', outcome: 'reject', reason: 'Eicar' }, 'blocked', 'Eicar'],
    ['gone', { state: 'done', outcome: 'pass' }, 'no', null],
    [null, { state: 'waiting' }, 'no', null],
  ] as const)('says of a %s content with the step %j: %s', (content, step, available, reason) => {
    const row = { blocking: true, outcome: null, reason: null, ...step }

    expect(availabilityOf(content, [row])).toEqual({ available, reason })
  })

  it('is not told to others', async () => {
    const id = await fileWith('held', hold)

    const response = await ask('GET', `/v1/uploads/${id}/steps`, userOf('eve', 'creator'))

    expect(response.statusCode).toBe(404)
  })
})

describe('a retry', () => {
  it.each([
    ['is dead', dead],
    ['holds the file', hold],
    ['waits for its next attempt', JSON.stringify({ state: 'waiting', reason: 'away' })],
  ])('makes a step due that %s, with all its attempts', async (_, step) => {
    const id = await fileWith('held', step)

    const response = await ask('POST', `/v1/uploads/${id}/steps/scan/retry`)

    expect(response.statusCode).toBe(200)
    expect(response.json<UploadSteps>()).toMatchObject({ available: 'checking', steps: [{ state: 'waiting' }] })
    const text = `select priority, attempts, crashes, next_at < now() + interval '1 minute' as is_due from steps where content_id = $1`
    expect(await query(text, [id])).toEqual([{ priority: 80, attempts: 0, crashes: 0, is_due: true }])
  })

  it('leaves a refused file refused', async () => {
    const id = await fileWith('quarantined', reject)

    const response = await ask('POST', `/v1/uploads/${id}/steps/scan/retry`)

    expect(response.statusCode).toBe(409)
    expect((await ask('GET', `/v1/uploads/${id}/steps`)).json()).toMatchObject({ available: 'blocked' })
  })

  it('of a step that the file does not have is 404', async () => {
    const id = await fileWith('held', dead)

    expect((await ask('POST', `/v1/uploads/${id}/steps/other/retry`)).statusCode).toBe(404)
    expect((await ask('POST', `/v1/uploads/${randomUUID()}/steps/scan/retry`)).statusCode).toBe(404)
  })
})

describe('the list of stopped steps', () => {
  it('has what needs a person, newest first, page by page, of files that are there', async () => {
    const ids = [await fileWith('held', dead), await fileWith('held', hold), await fileWith('quarantined', reject)]
    await fileWith('held', JSON.stringify({ state: 'waiting' }))
    const deleted = await fileWith('held', dead)
    await query('update nodes set trashed_at = now() where id = $1', [deleted])

    const first = (await ask('GET', '/v1/admin/steps?limit=2', admin)).json()
    const second = (await ask('GET', `/v1/admin/steps?limit=1&before=${first.next}`, admin)).json()

    const listed = [...first.steps, ...second.steps].map(({ uploadId }) => uploadId)
    expect(listed).toEqual(ids.toReversed())
    expect(first.steps[0]).toMatchObject({ user: 'ada', filename: 'a.txt', content: 'quarantined', reason: 'Eicar' })
  })

  it('is for administrators, each with their own tenant', async () => {
    await fileWith('held', dead)
    const boss = userOf('boss', 'creator', { isAdmin: true, tenant: 'acme' })

    expect((await ask('GET', '/v1/admin/steps')).statusCode).toBe(403)
    expect((await ask('GET', '/v1/admin/steps', boss)).json()).toEqual({ steps: [], next: null })
  })
})
