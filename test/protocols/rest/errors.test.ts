import { randomBytes } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { describe, expect, it } from 'vitest'
import { UploadError } from '../../../src/core/errors/error.ts'
import { unavailable } from '../../support/memory-store.ts'
import { openRest } from './open-rest.ts'

const nobodys = '00000000-0000-4000-8000-000000000000'
const init = (payload: unknown): InjectOptions => ({
  method: 'POST',
  url: '/v1/uploads/init',
  payload: JSON.stringify(payload),
  headers: { 'content-type': 'application/json' },
})
const file = { file_name: 'a.png', total_size: 10 }

describe('a request that says too little or the wrong thing', () => {
  it.each<[string, InjectOptions, number, string]>([
    ['no body', { method: 'POST', url: '/v1/uploads/init' }, 400, 'MISSING_FIELD'],
    ['an empty body', { ...init({}), payload: '' }, 400, 'MISSING_FIELD'],
    ['no file_name', init({ total_size: 1 }), 400, 'MISSING_FIELD'],
    ['no total_size', init({ file_name: 'a' }), 400, 'MISSING_FIELD'],
    ['an empty file_name', init({ ...file, file_name: '' }), 400, 'INVALID_FIELD'],
    ['a file_name that is no text', init({ ...file, file_name: 7 }), 400, 'INVALID_FIELD'],
    ['a file_name that is null', init({ ...file, file_name: null }), 400, 'INVALID_FIELD'],
    ['a file_name with a NUL', init({ ...file, file_name: 'a\0b' }), 400, 'INVALID_FIELD'],
    ['a file_name with half a character', init({ ...file, file_name: '\ud800' }), 400, 'INVALID_FIELD'],
    ['a file_name of 2000 letters', init({ ...file, file_name: 'a'.repeat(2000) }), 400, 'INVALID_FIELD'],
    ['a total_size that is null', init({ ...file, total_size: null }), 400, 'INVALID_FIELD'],
    ['a total_size that is a text', init({ ...file, total_size: '10' }), 400, 'INVALID_FIELD'],
    ['a total_size that is true', init({ ...file, total_size: true }), 400, 'INVALID_FIELD'],
    ['a negative total_size', init({ ...file, total_size: -1 }), 400, 'INVALID_FIELD'],
    ['a broken total_size', init({ ...file, total_size: 1.5 }), 400, 'INVALID_FIELD'],
    ['a total_size no number can hold', init({ ...file, total_size: 2 ** 53 }), 400, 'INVALID_FIELD'],
    ['an infinite total_size', { ...init({}), payload: '{"file_name":"a","total_size":1e999}' }, 400, 'INVALID_FIELD'],
    ['a total_size over the role', init({ ...file, total_size: 2 ** 50 }), 413, 'FILE_TOO_LARGE'],
    ['a content_type that is no text', init({ ...file, content_type: 7 }), 400, 'INVALID_FIELD'],
    ['a category that is none', init({ ...file, category: 'memes' }), 422, 'CATEGORY_NOT_ALLOWED'],
    ['a category of another type', init({ ...file, category: 'audio' }), 422, 'CATEGORY_NOT_ALLOWED'],
    ['another user', init({ ...file, user_id: 'eve' }), 403, 'FORBIDDEN'],
    ['another role', init({ ...file, user_role: 'admin' }), 403, 'FORBIDDEN'],
    ['a list', init([file]), 400, 'INVALID_FIELD'],
    ['a text', init('file'), 400, 'INVALID_FIELD'],
    ['no JSON', { ...init({}), payload: '{' }, 400, 'INVALID_FIELD'],
    [
      'no UTF-8',
      { ...init({}), payload: Buffer.from('{"file_name":"\xff","total_size":1}', 'latin1') },
      400,
      'INVALID_FIELD',
    ],
    ['a prototype', { ...init({}), payload: '{"__proto__":{"file_name":"a"}}' }, 400, 'INVALID_FIELD'],
    ['too much', init({ ...file, x: 'x'.repeat(70_000) }), 413, 'FILE_TOO_LARGE'],
    [
      'a form',
      { ...init({}), headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'UNSUPPORTED_CONTENT_TYPE',
    ],
    ['a body of no type', { ...init({}), headers: {} }, 415, 'UNSUPPORTED_CONTENT_TYPE'],
  ])('to begin an upload: %s', async (_what, request, status, code) => {
    const { ask } = await openRest()

    const answer = await ask(request)

    expect([answer.status, answer.code]).toEqual([status, code])
    expect(answer.body).toEqual({
      error: { code, message: expect.stringMatching(/\.$/), timestamp: expect.stringMatching(/Z$/) },
    })
  })

  it.each([
    ['no index', {}, 400, 'MISSING_FIELD'],
    ['an empty index', { 'x-chunk-index': '' }, 400, 'INVALID_FIELD'],
    ['a negative index', { 'x-chunk-index': '-1' }, 400, 'INVALID_FIELD'],
    ['a broken index', { 'x-chunk-index': '1.0' }, 400, 'INVALID_FIELD'],
    ['two indexes', { 'x-chunk-index': '0, 1' }, 400, 'INVALID_FIELD'],
    ['an index beyond the file', { 'x-chunk-index': '2' }, 400, 'INVALID_FIELD'],
    ['a huge index', { 'x-chunk-index': '9'.repeat(300) }, 400, 'INVALID_FIELD'],
    ['the wrong length', { 'x-chunk-index': '1' }, 400, 'INVALID_FIELD'],
  ])('to send a chunk: %s', async (_what, headers, status, code) => {
    const { ask, init, store } = await openRest()
    const id = await init(15)

    const answer = await ask({ method: 'PUT', url: `/v1/uploads/${id}/chunk`, headers, payload: randomBytes(10) })

    expect([answer.status, answer.code]).toEqual([status, code])
    expect(store.calls).toEqual([])
  })

  it.each([
    ['parts that are no list', { parts: 'all' }, 'INVALID_FIELD'],
    ['a part that is none', { parts: [7] }, 'INVALID_FIELD'],
    ['a part without an ETag', { parts: [{ chunk_index: 0 }] }, 'MISSING_FIELD'],
    ['a part without a number', { parts: [{ etag: 'x' }] }, 'MISSING_FIELD'],
    ['a part of two numbers', { parts: [{ chunk_index: 0, part_number: 2, etag: 'x' }] }, 'INVALID_FIELD'],
    ['a part number 0', { parts: [{ part_number: 0, etag: 'x' }] }, 'INVALID_FIELD'],
    ['a list', [], 'INVALID_FIELD'],
  ])('to complete an upload: %s', async (_what, payload, code) => {
    const { ask, init, chunk } = await openRest()
    const id = await init(10)
    await chunk(id, 0, randomBytes(10))

    const answer = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete`, payload })

    expect([answer.status, answer.code]).toEqual([400, code])
  })
})

describe('an upload', () => {
  it.each([
    ['that nobody has', nobodys],
    ['whose id is none', 'x'],
    ['whose id is long', 'x'.repeat(90)],
    ['whose id has a line in it', 'a%0Ab'],
    ['whose id has a NUL in it', '%00'],
  ])('%s is not found on any verb', async (_what, id) => {
    const { ask, chunk } = await openRest()

    const answers = [
      await chunk(id, 0, randomBytes(10)),
      await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` }),
      await ask({ url: `/v1/uploads/${id}/status` }),
      await ask({ method: 'DELETE', url: `/v1/uploads/${id}/cancel` }),
    ]

    for (const answer of answers) expect([answer.status, answer.code]).toEqual([404, 'UPLOAD_NOT_FOUND'])
  })

  it('of somebody else is not found on any verb, and stays as it is', async () => {
    const { ask, init, chunk } = await openRest()
    const id = await init(10)
    await chunk(id, 0, randomBytes(10))
    const as = { token: 'eve:creator' }

    const answers = [
      await ask({
        ...as,
        method: 'PUT',
        url: `/v1/uploads/${id}/chunk`,
        headers: { 'x-chunk-index': '0' },
        payload: randomBytes(10),
      }),
      await ask({ ...as, method: 'POST', url: `/v1/uploads/${id}/complete` }),
      await ask({ ...as, url: `/v1/uploads/${id}/status` }),
      await ask({ ...as, method: 'DELETE', url: `/v1/uploads/${id}/cancel` }),
    ]

    for (const answer of answers) expect([answer.status, answer.code]).toEqual([404, 'UPLOAD_NOT_FOUND'])
    expect((await ask({ url: `/v1/uploads/${id}/status` })).body).toMatchObject({
      status: 'in_progress',
      received_chunks: [0],
    })
  })

  it('wants a token', async () => {
    const { http } = await openRest()

    const answers = await Promise.all([
      http.inject({ method: 'POST', url: '/v1/uploads/init', payload: file }),
      http.inject({ method: 'PUT', url: '/v1/files/a.png', payload: 'a' }),
      http.inject({ method: 'POST', url: '/api/upload/init', payload: file }),
    ])

    for (const answer of answers)
      expect([answer.statusCode, answer.json().error.code]).toEqual([401, 'UNAUTHENTICATED'])
  })
})

describe('what stands behind the server', () => {
  it('is 502 and R2_ERROR when it is the store that does not answer', async () => {
    const { init, chunk, store } = await openRest()
    const id = await init(10)
    store.fault = () => {
      throw unavailable()
    }

    const answer = await chunk(id, 0, randomBytes(10))

    expect([answer.status, answer.code]).toEqual([502, 'R2_ERROR'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('is 502 and DATABASE_ERROR when it is the database that does not answer', async () => {
    const away = new UploadError('DATABASE_ERROR', 'The database does not answer.')
    const { ask } = await openRest({ uploads: { find: () => Promise.reject(away) } as never })

    const answer = await ask({ url: `/v1/uploads/${nobodys}/status` })

    expect([answer.status, answer.code]).toEqual([502, 'DATABASE_ERROR'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})
