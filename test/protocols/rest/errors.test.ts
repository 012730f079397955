import { randomBytes } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { describe, expect, it } from 'vitest'
import { errors } from '../../../src/core/errors/errors.ts'
import { unavailable } from '../../support/memory-store.ts'
import { openRest } from './open-rest.ts'

const unknownId = '00000000-0000-4000-8000-000000000000'
const init = (payload: unknown): InjectOptions => ({
  method: 'POST',
  url: '/v1/uploads/init',
  payload: JSON.stringify(payload),
  headers: { 'content-type': 'application/json' },
})
const file = { file_name: 'a.png', total_size: 10 }

describe('an invalid request', () => {
  it.each<[string, InjectOptions, number, string]>([
    ['no body', { method: 'POST', url: '/v1/uploads/init' }, 400, 'MISSING_FIELD'],
    ['an empty body', { ...init({}), payload: '' }, 400, 'MISSING_FIELD'],
    ['no file_name', init({ total_size: 1 }), 400, 'MISSING_FIELD'],
    ['no total_size', init({ file_name: 'a' }), 400, 'MISSING_FIELD'],
    ['an empty file_name', init({ ...file, file_name: '' }), 400, 'INVALID_FIELD'],
    ['a file_name that is a number', init({ ...file, file_name: 7 }), 400, 'INVALID_FIELD'],
    ['a file_name that is null', init({ ...file, file_name: null }), 400, 'INVALID_FIELD'],
    ['a file_name with a NUL', init({ ...file, file_name: 'a\0b' }), 400, 'INVALID_FIELD'],
    ['a file_name with a lone surrogate', init({ ...file, file_name: '\ud800' }), 400, 'INVALID_FIELD'],
    ['a file_name of 2000 letters', init({ ...file, file_name: 'a'.repeat(2000) }), 400, 'INVALID_FIELD'],
    ['a total_size that is null', init({ ...file, total_size: null }), 400, 'INVALID_FIELD'],
    ['a total_size that is a string', init({ ...file, total_size: '10' }), 400, 'INVALID_FIELD'],
    ['a total_size that is true', init({ ...file, total_size: true }), 400, 'INVALID_FIELD'],
    ['a negative total_size', init({ ...file, total_size: -1 }), 400, 'INVALID_FIELD'],
    ['a fractional total_size', init({ ...file, total_size: 1.5 }), 400, 'INVALID_FIELD'],
    ['a total_size above the safe integers', init({ ...file, total_size: 2 ** 53 }), 400, 'INVALID_FIELD'],
    ['an infinite total_size', { ...init({}), payload: '{"file_name":"a","total_size":1e999}' }, 400, 'INVALID_FIELD'],
    ['a total_size above the limit of the role', init({ ...file, total_size: 2 ** 50 }), 413, 'FILE_TOO_LARGE'],
    ['a content_type that is a number', init({ ...file, content_type: 7 }), 400, 'INVALID_FIELD'],
    ['an unknown category', init({ ...file, category: 'memes' }), 422, 'CATEGORY_NOT_ALLOWED'],
    ['a category that contradicts the type', init({ ...file, category: 'audio' }), 422, 'CATEGORY_NOT_ALLOWED'],
    ['another user', init({ ...file, user_id: 'eve' }), 403, 'FORBIDDEN'],
    ['another role', init({ ...file, user_role: 'admin' }), 403, 'FORBIDDEN'],
    ['an array', init([file]), 400, 'INVALID_FIELD'],
    ['a string', init('file'), 400, 'INVALID_FIELD'],
    ['invalid JSON', { ...init({}), payload: '{' }, 400, 'INVALID_FIELD'],
    [
      'invalid UTF-8',
      { ...init({}), payload: Buffer.from('{"file_name":"\xff","total_size":1}', 'latin1') },
      400,
      'INVALID_FIELD',
    ],
    ['a __proto__', { ...init({}), payload: '{"__proto__":{"file_name":"a"}}' }, 400, 'INVALID_FIELD'],
    ['too many bytes', init({ ...file, x: 'x'.repeat(70_000) }), 413, 'FILE_TOO_LARGE'],
    [
      'a form',
      { ...init({}), headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'UNSUPPORTED_CONTENT_TYPE',
    ],
    ['no content type', { ...init({}), headers: {} }, 415, 'UNSUPPORTED_CONTENT_TYPE'],
  ])('to create an upload is refused: %s', async (_what, request, status, code) => {
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
    ['a fractional index', { 'x-chunk-index': '1.0' }, 400, 'INVALID_FIELD'],
    ['two indexes', { 'x-chunk-index': '0, 1' }, 400, 'INVALID_FIELD'],
    ['an index beyond the file', { 'x-chunk-index': '2' }, 400, 'INVALID_FIELD'],
    ['a huge index', { 'x-chunk-index': '9'.repeat(300) }, 400, 'INVALID_FIELD'],
    ['a wrong length', { 'x-chunk-index': '1' }, 400, 'INVALID_FIELD'],
  ])('to send a chunk is refused: %s', async (_what, headers, status, code) => {
    const { ask, init, store } = await openRest()
    const id = await init(15)

    const answer = await ask({ method: 'PUT', url: `/v1/uploads/${id}/chunk`, headers, payload: randomBytes(10) })

    expect([answer.status, answer.code]).toEqual([status, code])
    expect(store.calls).toEqual([])
  })

  it.each([
    ['parts that are a string', { parts: 'all' }, 'INVALID_FIELD'],
    ['a part that is a number', { parts: [7] }, 'INVALID_FIELD'],
    ['a part without an ETag', { parts: [{ chunk_index: 0 }] }, 'MISSING_FIELD'],
    ['a part without a number', { parts: [{ etag: 'x' }] }, 'MISSING_FIELD'],
    ['a part with two numbers', { parts: [{ chunk_index: 0, part_number: 2, etag: 'x' }] }, 'INVALID_FIELD'],
    ['the part number 0', { parts: [{ part_number: 0, etag: 'x' }] }, 'INVALID_FIELD'],
    ['an array', [], 'INVALID_FIELD'],
  ])('to complete an upload is refused: %s', async (_what, payload, code) => {
    const { ask, init, chunk } = await openRest()
    const id = await init(10)
    await chunk(id, 0, randomBytes(10))

    const answer = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete`, payload })

    expect([answer.status, answer.code]).toEqual([400, code])
  })
})

describe('an upload', () => {
  it.each([
    ['an unknown id', unknownId],
    ['an id that is not a UUID', 'x'],
    ['a long id', 'x'.repeat(90)],
    ['a line break in its id', 'a%0Ab'],
    ['a NUL in its id', '%00'],
  ])('with %s is 404 on every route', async (_what, id) => {
    const { ask, chunk } = await openRest()

    const answers = [
      await chunk(id, 0, randomBytes(10)),
      await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` }),
      await ask({ url: `/v1/uploads/${id}/status` }),
      await ask({ method: 'DELETE', url: `/v1/uploads/${id}/cancel` }),
    ]

    for (const answer of answers) expect([answer.status, answer.code]).toEqual([404, 'UPLOAD_NOT_FOUND'])
  })

  it('of another user is 404 on every route, and does not change', async () => {
    const { ask, init, chunk } = await openRest()
    const id = await init(10)
    await chunk(id, 0, randomBytes(10))
    const asEve = { token: 'eve:creator' }

    const answers = [
      await ask({
        ...asEve,
        method: 'PUT',
        url: `/v1/uploads/${id}/chunk`,
        headers: { 'x-chunk-index': '0' },
        payload: randomBytes(10),
      }),
      await ask({ ...asEve, method: 'POST', url: `/v1/uploads/${id}/complete` }),
      await ask({ ...asEve, url: `/v1/uploads/${id}/status` }),
      await ask({ ...asEve, method: 'DELETE', url: `/v1/uploads/${id}/cancel` }),
    ]

    for (const answer of answers) expect([answer.status, answer.code]).toEqual([404, 'UPLOAD_NOT_FOUND'])
    expect((await ask({ url: `/v1/uploads/${id}/status` })).body).toMatchObject({
      status: 'in_progress',
      received_chunks: [0],
    })
  })

  it('needs a token', async () => {
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

describe('a failing dependency', () => {
  it('is answered with 502 R2_ERROR when it is the store', async () => {
    const { init, chunk, store } = await openRest()
    const id = await init(10)
    store.fault = () => {
      throw unavailable()
    }

    const answer = await chunk(id, 0, randomBytes(10))

    expect([answer.status, answer.code]).toEqual([502, 'R2_ERROR'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('is answered with 502 DATABASE_ERROR when it is the database', async () => {
    const databaseError = errors.databaseUnavailable({})
    const { ask } = await openRest({ uploads: { find: () => Promise.reject(databaseError) } as never })

    const answer = await ask({ url: `/v1/uploads/${unknownId}/status` })

    expect([answer.status, answer.code]).toEqual([502, 'DATABASE_ERROR'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})
