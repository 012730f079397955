import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { announceRufh } from '../../../src/protocols/rufh/discovery.ts'
import { tusPlugin } from '../../../src/protocols/tus/plugin.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { appendHeaders, interop, serve as serveOn } from './serve.ts'

const tus = { 'tus-resumable': '1.0.0' }
const tusType = { ...tus, 'content-type': 'application/offset+octet-stream' }

describe.each(protocolStores)('RUFH beside tus, with files in %s', (kind) => {
  const serveBoth = () =>
    serveOn({
      kind,
      beside(app, options) {
        announceRufh(app, options)
        app.register(tusPlugin, options)
      },
    })

  it('an upload created in tus is resumed in RUFH, in tus, and completed in RUFH', async () => {
    const server = await serveBoth()
    const body = randomBytes(60)
    const created = await server.ask({ method: 'POST', path: '/files', headers: { ...tus, 'upload-length': 60 } })
    const path = created.headers['location']!

    await server.ask({ method: 'PATCH', path, headers: { ...tusType, 'upload-offset': 0 }, body: body.subarray(0, 13) })
    const inRufh = await server.ask({ method: 'HEAD', path, headers: interop(6) })
    await server.ask({ method: 'PATCH', path, headers: appendHeaders(6, 13, false), body: body.subarray(13, 31) })
    const inTus = await server.ask({ method: 'HEAD', path, headers: tus })
    await server.ask({
      method: 'PATCH',
      path,
      headers: { ...tusType, 'upload-offset': 31 },
      body: body.subarray(31, 47),
    })
    const last = await server.ask({
      method: 'PATCH',
      path,
      headers: appendHeaders(10, 47, true),
      body: body.subarray(47),
    })

    expect(inRufh.headers).toMatchObject({ 'upload-offset': '13', 'upload-length': '60', 'upload-complete': '?0' })
    expect(inTus.headers).toMatchObject({ 'upload-offset': '31', 'upload-length': '60', 'tus-resumable': '1.0.0' })
    expect(last.headers['upload-complete']).toBe('?1')
    expect(await server.objectOf(path)).toEqual(body)
  })

  it('an upload created in RUFH is completed in tus', async () => {
    const server = await serveBoth()
    const body = randomBytes(60)
    const created = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(8), 'upload-complete': '?0', 'upload-length': 60 },
      body: body.subarray(0, 23),
    })
    const path = created.headers['location']!

    const inTus = await server.ask({ method: 'HEAD', path, headers: tus })
    const last = await server.ask({
      method: 'PATCH',
      path,
      headers: { ...tusType, 'upload-offset': 23 },
      body: body.subarray(23),
    })
    const inRufh = await server.ask({ method: 'HEAD', path, headers: interop(8) })

    expect(inTus.headers['upload-offset']).toBe('23')
    expect(last.headers['upload-offset']).toBe('60')
    expect(inRufh.headers['upload-complete']).toBe('?1')
    expect(await server.objectOf(path)).toEqual(body)
  })

  it('the answer to OPTIONS has the headers of both', async () => {
    const server = await serveBoth()

    const { headers } = await server.ask({ method: 'OPTIONS', path: '/files' })

    expect(headers).toMatchObject({ 'tus-version': '1.0.0', 'upload-limit': 'max-size=1000, min-size=0' })
  })

  it('the endpoint with a slash at its end is the same in both', async () => {
    const server = await serveBoth()
    const request = { path: '/files/?from=page', body: 'some' }

    const { headers } = await server.ask({ method: 'OPTIONS', path: request.path })
    const answers = [
      await server.ask({ ...request, method: 'POST', headers: { ...interop(3), 'upload-incomplete': '?1' } }),
      await server.ask({ ...request, method: 'POST', headers: { ...interop(6), 'upload-complete': '?0' } }),
      await server.ask({ ...request, method: 'PUT', headers: { ...interop(10), 'upload-complete': '?0' } }),
      await server.ask({ ...request, method: 'POST', headers: { ...tusType, 'upload-length': 9 } }),
    ]

    expect(headers).toMatchObject({ 'tus-version': '1.0.0', 'upload-limit': 'max-size=1000, min-size=0' })
    for (const { status, headers } of answers) {
      expect([status, headers['upload-offset']]).toEqual([201, '4'])
      expect(headers['location']).toMatch(/^\/files\/[0-9a-f-]{36}$/)
    }
  })
})
