import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openRest } from './open-rest.ts'

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()

describe('an upload in chunks', () => {
  it('is created with an answer that has the chunk size', async () => {
    const { ask } = await openRest()

    const answer = await ask({
      method: 'POST',
      url: '/v1/uploads/init',
      payload: {
        file_name: 'notes.txt',
        total_size: 47,
        content_type: 'text/plain',
        user_id: 'ada',
        user_role: 'creator',
      },
    })

    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/v1/uploads/${answer.body.upload_id}`)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.body).toMatchObject({
      status: 'initiated',
      file_name: 'notes.txt',
      content_type: 'text/plain',
      category: 'document',
      total_size: 47,
      chunk_size: 10,
      total_chunks: 5,
    })
    expect(new Date(answer.body.expires_at).getTime()).toBeGreaterThan(Date.now())
  })

  it('is completed by chunks in any order, in parallel and sent twice', async () => {
    const { ask, init, chunk, store } = await openRest()
    const bytes = randomBytes(47)
    const id = await init(47)
    const send = (index: number) => chunk(id, index, bytes.subarray(index * 10, index * 10 + 10))

    const answers = await Promise.all([4, 1, 3, 1].map(send))
    answers.push(...(await Promise.all([0, 2, 3].map(send))))
    const complete = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })

    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200))
    expect(complete.status).toBe(200)
    expect(complete.body).toMatchObject({ upload_id: id, status: 'completed' })
    expect([...store.objects.entries()]).toEqual([[complete.body.r2_key, bytes]])
    expect(store.multiparts.size).toBe(0)
  })

  it('gives every chunk an ETag, in the header and in the body', async () => {
    const { init, chunk } = await openRest()
    const bytes = randomBytes(7)
    const id = await init(17)

    const answer = await chunk(id, 1, bytes)

    const etag = md5(bytes).toString('hex')
    expect(answer.headers.etag).toBe(`"${etag}"`)
    expect(answer.body).toEqual({ upload_id: id, chunk_index: 1, status: 'uploaded', size: 7, etag })
  })

  it('is completed with a list of its chunks by index or by part number', async () => {
    const { ask, init, chunk } = await openRest()
    const id = await init(30)
    const etags = await Promise.all(
      [0, 1, 2].map(async (index) => (await chunk(id, index, randomBytes(10))).headers.etag as string),
    )

    const parts = [
      { chunk_index: 0, etag: etags[0] },
      { part_number: 2, etag: etags[1]!.replaceAll('"', '') },
      { chunk_index: 2, part_number: 3, etag: etags[2] },
    ]
    const answer = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete`, payload: { parts } })

    expect(answer.status).toBe(200)
  })

  it.each([
    [
      'a wrong ETag',
      (etags: string[]) => [
        { chunk_index: 0, etag: etags[0] },
        { chunk_index: 1, etag: 'x' },
      ],
    ],
    ['a chunk missing', (etags: string[]) => [{ chunk_index: 0, etag: etags[0] }]],
    [
      'one chunk twice and another missing',
      (etags: string[]) => [0, 0].map((index) => ({ chunk_index: index, etag: etags[index] })),
    ],
    [
      'a chunk that was not sent',
      (etags: string[]) => [0, 1, 2].map((index) => ({ chunk_index: index, etag: etags[index] ?? 'x' })),
    ],
  ])('is not completed by a list with %s', async (_what, listOf) => {
    const { ask, init, chunk } = await openRest()
    const id = await init(20)
    const etags = await Promise.all([0, 1].map(async (index) => (await chunk(id, index, randomBytes(10))).body.etag))

    const refused = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete`, payload: { parts: listOf(etags) } })
    const completed = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })

    expect([refused.status, refused.code]).toEqual([400, 'INVALID_FIELD'])
    expect(completed.status).toBe(200)
  })

  it('gets the same answer to a second complete', async () => {
    const { ask, init, chunk } = await openRest()
    const id = await init(5)
    await chunk(id, 0, randomBytes(5))

    const first = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })
    const second = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete`, payload: { parts: [] } })

    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.body).toEqual({ ...first.body, updated_at: expect.any(String) })
  })

  it('may be empty', async () => {
    const { ask, init, store } = await openRest()
    const id = await init(0)

    const status = await ask({ url: `/v1/uploads/${id}/status` })
    const answer = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })

    expect(status.body).toMatchObject({ status: 'initiated', total_chunks: 0, missing_ranges: [] })
    expect(answer.body.status).toBe('completed')
    expect(store.objects.get(answer.body.r2_key)).toEqual(Buffer.alloc(0))
  })

  it('is not completed while chunks are missing, and its status lists them', async () => {
    const { ask, init, chunk } = await openRest()
    const id = await init(47)
    await chunk(id, 0, randomBytes(10))
    await chunk(id, 3, randomBytes(10))

    const refused = await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })
    const status = await ask({ url: `/v1/uploads/${id}/status` })

    expect([refused.status, refused.code]).toEqual([400, 'INVALID_FIELD'])
    expect(status.status).toBe(200)
    expect(status.body).toMatchObject({
      status: 'in_progress',
      received_bytes: 20,
      offset: 10,
      received_chunks: [0, 3],
      missing_ranges: [
        { offset: 10, length: 20, first_chunk: 1, last_chunk: 2 },
        { offset: 40, length: 7, first_chunk: 4, last_chunk: 4 },
      ],
    })
    expect(status.body.chunks.map((chunk: { chunk_index: number }) => chunk.chunk_index)).toEqual([0, 3])
  })

  it('has every chunk in its status after its completion', async () => {
    const { ask, init, chunk } = await openRest()
    const id = await init(13)
    await Promise.all([chunk(id, 0, randomBytes(10)), chunk(id, 1, randomBytes(3))])
    await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })

    const { body } = await ask({ url: `/v1/uploads/${id}/status` })

    expect(body).toMatchObject({ status: 'completed', received_bytes: 13, received_chunks: [0, 1], missing_ranges: [] })
    expect(body.completed_at).not.toBeNull()
  })
})

describe('a checksum of a chunk', () => {
  const bytes = randomBytes(10)
  const sha256 = createHash('sha256').update(bytes).digest('base64')

  it.each([
    ['Content-MD5', { 'content-md5': md5(bytes).toString('base64') }],
    ['Content-Digest', { 'content-digest': `sha-256=:${sha256}:, unknown=:AAAA:` }],
  ])('that matches is accepted: %s', async (_name, headers) => {
    const { init, chunk } = await openRest()

    expect((await chunk(await init(10), 0, bytes, headers)).status).toBe(200)
  })

  it.each([
    ['Content-MD5', { 'content-md5': md5(randomBytes(9)).toString('base64') }],
    ['Content-Digest', { 'content-digest': `sha-256=:${createHash('sha256').digest('base64')}:` }],
  ])('that does not match leaves the chunk as it was: %s', async (_name, headers) => {
    const { ask, init, chunk, store } = await openRest()
    const id = await init(10)
    const before = await chunk(id, 0, bytes)

    const refused = await chunk(id, 0, randomBytes(10), headers)
    await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })

    expect(before.status).toBe(200)
    expect([refused.status, refused.code]).toEqual([460, 'CHECKSUM_MISMATCH'])
    expect([...store.objects.values()]).toEqual([bytes])
  })

  it.each([
    ['content-md5', 'AAAA'],
    ['content-md5', '!'],
    ['content-digest', 'sha-256'],
    ['content-digest', 'sha-256=:AAAA:'],
    ['content-digest', 'sha-256="AAAA"'],
    ['content-digest', 'crc9=:AAAA:'],
    ['content-digest', '='],
  ])('that cannot be read is refused: %s %s', async (name, value) => {
    const { init, chunk } = await openRest()

    const answer = await chunk(await init(10), 0, bytes, { [name]: value })

    expect([answer.status, answer.code]).toEqual([400, 'INVALID_FIELD'])
  })
})

describe('cancelling an upload in chunks', () => {
  it('works with curl -d "", which sends an empty body as a form', async () => {
    const { ask, init } = await openRest()
    const id = await init(5)
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' }

    const answer = await ask({ method: 'POST', url: `/v1/uploads/${id}/cancel`, headers })

    expect(answer.status).toBe(200)
  })

  it.each(['POST', 'DELETE'] as const)(
    'by %s deletes its chunks, and a second request gets the same answer',
    async (method) => {
      const { ask, init, chunk, store } = await openRest()
      const id = await init(20)
      await chunk(id, 1, randomBytes(10))

      const cancelled = await ask({ method, url: `/v1/uploads/${id}/cancel` })
      const again = await ask({ method, url: `/v1/uploads/${id}/cancel` })

      expect([cancelled.status, cancelled.body]).toEqual([200, { upload_id: id, status: 'cancelled' }])
      expect([again.status, again.body]).toEqual([200, cancelled.body])
      expect((await chunk(id, 0, randomBytes(10))).code).toBe('UPLOAD_GONE')
      expect((await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })).code).toBe('UPLOAD_GONE')
      expect((await ask({ url: `/v1/uploads/${id}/status` })).body.status).toBe('cancelled')
      expect(store.objects.size + store.multiparts.size).toBe(0)
    },
  )

  it('is refused after its completion, and the file stays', async () => {
    const { ask, init, chunk, store } = await openRest()
    const id = await init(5)
    await chunk(id, 0, randomBytes(5))
    await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })

    const cancelled = await ask({ method: 'POST', url: `/v1/uploads/${id}/cancel` })
    const late = await chunk(id, 0, randomBytes(5))

    expect([cancelled.status, cancelled.code]).toEqual([409, 'UPLOAD_COMPLETED'])
    expect([late.status, late.code]).toEqual([409, 'UPLOAD_COMPLETED'])
    expect(store.objects.size).toBe(1)
  })

  it('is not needed after its expiry, which its status shows before the sweep', async () => {
    let now = new Date()
    const { ask, init, chunk } = await openRest({ now: () => now })
    const id = await init(20)

    now = new Date(Date.now() + 30 * 24 * 60 * 60 * 1000)

    expect((await ask({ url: `/v1/uploads/${id}/status` })).body.status).toBe('expired')
    expect((await chunk(id, 0, randomBytes(10))).code).toBe('UPLOAD_EXPIRED')
    expect((await ask({ method: 'POST', url: `/v1/uploads/${id}/complete` })).code).toBe('UPLOAD_EXPIRED')
  })
})
