import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openRest, type RestApp } from './open-rest.ts'

async function init({ ask }: RestApp, size: number): Promise<string> {
  const payload = { file_name: 'notes.txt', total_size: size, user_id: 'ada', user_role: 'creator' }
  const answer = await ask({ method: 'POST', url: '/api/upload/init', payload })
  expect(answer.status).toBe(201)
  return answer.body.upload_id
}

const chunk = ({ ask }: RestApp, id: string, index: number, payload: Buffer, method: 'PUT' | 'POST' = 'POST') =>
  ask({ method, url: '/api/upload/chunk', headers: { 'x-upload-id': id, 'x-chunk-index': String(index) }, payload })

describe('the legacy routes', () => {
  it('take the upload id from a header and store the same file', async () => {
    const app = await openRest()
    const bytes = randomBytes(15)
    const id = await init(app, 15)

    const first = await chunk(app, id, 1, bytes.subarray(10), 'PUT')
    const status = await app.ask({ url: `/api/upload/${id}/status` })
    const second = await chunk(app, id, 0, bytes.subarray(0, 10))
    const complete = await app.ask({ method: 'POST', url: '/api/upload/complete', headers: { 'x-upload-id': id } })

    expect([first.status, second.status, complete.status]).toEqual([200, 200, 200])
    expect(first.headers.etag).toMatch(/^"\w+"$/)
    expect(status.body).toMatchObject({ received_chunks: [1], missing_ranges: [{ offset: 0, length: 10 }] })
    expect(app.store.objects.get(complete.body.r2_key)).toEqual(bytes)
  })

  it('take the upload id from a JSON body', async () => {
    const app = await openRest()
    const id = await init(app, 5)
    const { body } = await chunk(app, id, 0, randomBytes(5))

    const parts = [{ part_number: 1, etag: body.etag }]
    const complete = await app.ask({ method: 'POST', url: '/api/upload/complete', payload: { upload_id: id, parts } })
    const cancel = await app.ask({ method: 'POST', url: '/api/upload/cancel', payload: { upload_id: id } })

    expect(complete.body.status).toBe('completed')
    expect([cancel.status, cancel.code]).toEqual([409, 'UPLOAD_COMPLETED'])
  })

  it.each(['POST', 'DELETE'] as const)('cancel an upload by %s', async (method) => {
    const app = await openRest()
    const id = await init(app, 5)

    const cancel = await app.ask({ method, url: '/api/upload/cancel', headers: { 'x-upload-id': id } })

    expect([cancel.status, cancel.body]).toEqual([200, { upload_id: id, status: 'cancelled' }])
  })

  it('answer errors with the same codes', async () => {
    const app = await openRest()
    const id = await init(app, 5)
    const headers = { 'x-upload-id': id }

    const answers = [
      await app.ask({ method: 'POST', url: '/api/upload/init', payload: {} }),
      await app.ask({ method: 'POST', url: '/api/upload/chunk', headers: { 'x-chunk-index': '0' }, payload: 'bytes' }),
      await app.ask({ method: 'POST', url: '/api/upload/chunk', headers, payload: 'bytes' }),
      await app.ask({ method: 'POST', url: '/api/upload/complete' }),
      await app.ask({ method: 'POST', url: '/api/upload/complete', headers, payload: { upload_id: 'another' } }),
      await app.ask({ method: 'POST', url: '/api/upload/cancel', payload: { upload_id: 7 } }),
      await app.ask({ method: 'POST', url: '/api/upload/cancel', headers: { 'x-upload-id': 'x' } }),
      await app.ask({ url: '/api/upload/x/status' }),
    ]

    expect(answers.map((answer) => `${answer.status} ${answer.code}`)).toEqual([
      '400 MISSING_FIELD',
      '400 MISSING_FIELD',
      '400 MISSING_FIELD',
      '400 MISSING_FIELD',
      '400 INVALID_FIELD',
      '400 INVALID_FIELD',
      '404 UPLOAD_NOT_FOUND',
      '404 UPLOAD_NOT_FOUND',
    ])
  })

  it('create uploads that the current routes complete', async () => {
    const app = await openRest()
    const id = await init(app, 15)

    await app.chunk(id, 1, randomBytes(5))
    await chunk(app, id, 0, randomBytes(10))

    expect((await app.ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })).body.status).toBe('completed')
  })
})
