import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { Upload, type UploadOptions } from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { serverUrlStorage } from '../../src/client/url-storage.ts'
import { userOf } from '../../src/core/upload.ts'
import { filmOf } from '../support/film.ts'
import { testApp } from '../support/test-app.ts'

const bytes = filmOf(500_000)
const fingerprint = 'holiday.mp4-500000'

describe('an upload that was started on one device', () => {
  it('resumes on another device of the same user', async () => {
    const { store, device } = await open()
    await device().sendUntil(200_000)

    const { previous, offsets, finish } = await device().resume()
    await finish()

    expect(previous).toMatchObject([{ size: 500_000, metadata: { filename: 'holiday.mp4', filetype: 'video/mp4' } }])
    expect(offsets()[0]).toBeGreaterThanOrEqual(200_000)
    expect([...store.objects.values()]).toEqual([bytes])
  })

  it('is found by the fingerprint in its creation metadata', async () => {
    const { store, device } = await open()
    const first = device({ storeFingerprintForResuming: false, metadata: { fingerprint, filename: 'holiday.mp4' } })
    await first.sendUntil(200_000)

    const { offsets, finish } = await device().resume()
    await finish()

    expect(offsets()[0]).toBeGreaterThanOrEqual(200_000)
    expect([...store.objects.values()]).toEqual([bytes])
  })

  it('is not found by another user, for another file, or when it has ended', async () => {
    const { device, storage } = await open()
    await device().sendUntil(200_000)
    const eve = await storage(userOf(randomUUID(), 'creator'))
    const ownStorage = await storage()

    expect(await eve.findUploadsByFingerprint(fingerprint)).toEqual([])
    expect(await ownStorage.findUploadsByFingerprint('another file')).toEqual([])
    expect(await ownStorage.findUploadsByFingerprint(fingerprint)).toHaveLength(1)
    const { finish } = await device().resume()
    await finish()
    expect(await ownStorage.findUploadsByFingerprint(fingerprint)).toEqual([])
  })

  it('is kept when another device fails with an invalid token', async () => {
    const { device, storage, token } = await open()
    await device().sendUntil(200_000)
    const good = token.current

    token.current = 'nonsense'
    await expect(
      device()
        .resume()
        .then(({ finish }) => finish()),
    ).rejects.toThrow('401')
    token.current = good

    expect(await (await storage()).findUploadsByFingerprint(fingerprint)).toHaveLength(1)
  })
})

describe('the URL storage', () => {
  it('lists all resumable uploads over several pages', async () => {
    const { app, storage, ann } = await open()
    const ids: string[] = []
    for (let at = 0; at < 60; at += 1)
      ids.unshift((await app.engine.create(ann, { size: 5, filename: `${at}`, contentType: 'text/plain' })).id)
    await app.engine.cancel(ann, ids[0]!)

    const found = await (await storage()).findAllUploads()

    expect(found.map(({ urlStorageKey }) => urlStorageKey)).toEqual(ids.slice(1))
  })

  it('does not throw when the server cannot be reached', async () => {
    const lost = serverUrlStorage({ server: 'http://127.0.0.1:1/', token: () => 'x', pauses: [1, 1] })
    const upload = { size: 1, metadata: {}, creationTime: '', urlStorageKey: '', parallelUploadUrls: null }

    expect(await lost.findUploadsByFingerprint('x')).toEqual([])
    expect(await lost.addUpload('x', { ...upload, uploadUrl: 'http://127.0.0.1:1/files/abc' })).toBe('abc')
    expect(await lost.addUpload('x', { ...upload, uploadUrl: null })).toBe('')
    await lost.removeUpload('abc')
  })
})

describe('PUT /v1/uploads/:id/fingerprint', () => {
  it.each([
    ['a text', 204, 'file-1'],
    ['null, which removes it', 204, null],
    ['an empty text', 400, ''],
    ['a long text', 400, 'x'.repeat(1025)],
    ['a text of too many bytes', 400, 'ü'.repeat(600)],
    ['a text with a line break', 400, 'a\nb'],
    ['nothing', 400, undefined],
  ])('accepts or refuses %s', async (_what, status, fingerprint) => {
    const { app, ann } = await open()
    const { id } = await app.engine.create(ann, { size: 5, filename: 'a', contentType: 'text/plain' })

    const answer = await app.http.inject({
      method: 'PUT',
      url: `/v1/uploads/${id}/fingerprint`,
      headers: await app.as(ann),
      payload: { fingerprint },
    })

    expect(answer.statusCode).toBe(status)
    expect((await app.engine.get(ann, id)).fingerprint).toBe(status === 204 ? fingerprint : null)
  })

  it('refuses uploads that have ended', async () => {
    const { app, ann } = await open()
    const { id } = await app.engine.create(ann, { size: 5, filename: 'a', contentType: 'text/plain' })
    await app.engine.cancel(ann, id)

    await expect(app.engine.setFingerprint(ann, id, 'x')).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
  })
})

it('a fingerprint can be sent at creation in every protocol', async () => {
  const { app, ann } = await open()
  const headers = await app.as(ann)
  const metadata = `filename ${encoded('a.txt')},fingerprint ${encoded('file-1')}`
  const rufh = { 'upload-draft-interop-version': '8', 'upload-complete': '?0', 'upload-length': '5' }

  await app.http.inject({
    method: 'POST',
    url: '/files',
    headers: { ...headers, 'tus-resumable': '1.0.0', 'upload-length': '5', 'upload-metadata': metadata },
  })
  await app.http.inject({
    method: 'POST',
    url: '/files',
    headers: { ...headers, ...rufh, 'upload-metadata': metadata },
  })
  await app.http.inject({
    method: 'POST',
    url: '/v1/uploads/init',
    headers,
    payload: { file_name: 'a.txt', total_size: 5, fingerprint: 'file-1' },
  })
  await app.http.inject({
    method: 'POST',
    url: '/v1/uploads/init',
    headers,
    payload: { file_name: 'a.txt', total_size: 5 },
  })

  const answer = await app.http.inject({ url: '/v1/uploads?fingerprint=file-1&state=receiving', headers })
  expect(answer.json().uploads).toHaveLength(3)
  const long = await app.http.inject({
    method: 'POST',
    url: '/v1/uploads/init',
    headers,
    payload: { file_name: 'a', total_size: 5, fingerprint: 'x'.repeat(1025) },
  })
  expect([long.statusCode, long.json().error.code]).toEqual([400, 'INVALID_FIELD'])
})

const encoded = (text: string) => Buffer.from(text).toString('base64')

/** A listening server, and devices of one user. */
async function open() {
  const app = await testApp()
  await app.http.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.http.server.closeAllConnections())
  const server = `http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}/`
  const ann = userOf(randomUUID(), 'creator')
  const tokenOf = async (actor = ann) => (await app.as(actor)).authorization.slice('Bearer '.length)
  const token = { current: await tokenOf() }

  async function storage(actor = ann) {
    const ownStorage = await tokenOf(actor)
    return serverUrlStorage({ server, token: () => ownStorage })
  }

  function device(more: Partial<UploadOptions> = {}) {
    const offsets: number[] = []
    const ended = Promise.withResolvers<void>()
    let stopAt = Number.POSITIVE_INFINITY
    const upload: Upload = new Upload(bytes as never, {
      endpoint: `${server}files`,
      headers: { authorization: `Bearer ${token.current}` },
      urlStorage: serverUrlStorage({ server, token: () => token.current }),
      fingerprint: async () => fingerprint,
      metadata: { filename: 'holiday.mp4', filetype: 'video/mp4' },
      chunkSize: 100_000,
      retryDelays: null as never,
      onBeforeRequest: (request) => {
        if (request.getMethod() === 'PATCH') offsets.push(Number(request.getHeader('Upload-Offset')))
      },
      onChunkComplete: (_size, accepted) => {
        if (accepted < stopAt) return
        void upload.abort().then(() => ended.resolve())
      },
      onSuccess: () => ended.resolve(),
      onError: ended.reject,
      ...more,
    })

    return {
      /** Sends until the server has `size` bytes, then aborts. */
      async sendUntil(size: number) {
        stopAt = size
        upload.start()
        await ended.promise
      },
      /** Like a page: resumes the newest previous upload, else starts a new one. */
      async resume() {
        const previous = await upload.findPreviousUploads()
        if (previous[0]) upload.resumeFromPreviousUpload(previous[0])
        return {
          previous,
          offsets: () => offsets,
          async finish() {
            upload.start()
            await ended.promise
          },
        }
      },
    }
  }

  return { app, store: app.store, ann, device, storage, token }
}
