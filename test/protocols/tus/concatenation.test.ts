import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bearer } from '../../support/build-test-app.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { codeOf, encoded, serve as serveOn, type TusServer } from './serve.ts'

const partial = { 'upload-concat': 'partial' }
const final = (...urls: string[]) => ({ 'upload-length': null, 'upload-concat': `final;${urls.join(' ')}` })

/** Sends a complete partial upload. */
async function sendPartial(server: TusServer, bytes: Buffer): Promise<string> {
  const path = await server.create(bytes.length, partial)
  await server.patch(path, 0, bytes)
  return path
}

describe.each(protocolStores)('tus, Concatenation, with files in %s', (kind) => {
  const serve = () => serveOn({ kind })

  it('answers HEAD of a partial upload with Upload-Concat and its offset', async () => {
    const server = await serve()
    const path = await server.create(5, partial)
    await server.patch(path, 0, 'hel')

    const answer = await server.head(path)

    expect(answer.headers).toMatchObject({ 'upload-concat': 'partial', 'upload-offset': '3', 'upload-length': '5' })
  })

  it.each<[string, (path: string) => string]>([
    ['relative URLs', (path) => path],
    ['absolute URLs', (path) => `https://files.example${path}`],
    ['absolute URLs below a prefix', (path) => `https://files.example/below${path}`],
    ['bare names', (path) => path.split('/').at(-1)!],
  ])('concatenates partial uploads by %s in list order, one of them twice', async (_, url) => {
    const server = await serve()
    const [a, b] = [randomBytes(31), randomBytes(22)]
    const [pathA, pathB] = [await sendPartial(server, a), await sendPartial(server, b)]
    const concat = final(url(pathB), url(pathA), url(pathB))

    const path = await server.create(0, concat)

    const answer = await server.head(path)
    expect(answer.headers).toMatchObject({
      'upload-offset': '75',
      'upload-length': '75',
      ...{ 'upload-concat': concat['upload-concat'] },
    })
    expect(await server.objectOf(path)).toEqual(Buffer.concat([b, a, b]))
  })

  it('takes the metadata of the file from the final upload only', async () => {
    const server = await serve()
    const part = await server.create(5, { ...partial, 'upload-metadata': `filename ${encoded('part.pdf')}` })
    await server.patch(part, 0, 'hello')

    const unnamed = await server.create(0, final(part))
    expect((await server.head(unnamed)).headers).not.toHaveProperty('upload-metadata')
    const other = await sendPartial(server, Buffer.from('world'))
    const metadata = `filename ${encoded('whole.txt')},filetype ${encoded('text/plain')}`
    const path = await server.create(0, { ...final(other), 'upload-metadata': metadata })

    expect((await server.head(path)).headers['upload-metadata']).toBe(metadata)
    expect(await server.uploadAt(path)).toMatchObject({ filename: 'whole.txt', contentType: 'text/plain' })
  })

  it('refuses to append to a final upload', async () => {
    const server = await serve()
    const path = await server.create(0, final(await sendPartial(server, Buffer.from('hello'))))

    const answer = await server.patch(path, 5, '!')

    expect([answer.status, codeOf(answer)]).toEqual([403, 'FORBIDDEN'])
    expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
  })

  it('refuses Upload-Length for a final upload', async () => {
    const server = await serve()
    const part = await sendPartial(server, Buffer.from('hello'))

    const answer = await server.ask({ method: 'POST', path: '/files', headers: { ...final(part), 'upload-length': 5 } })

    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
  })

  it.each([
    ['nothing', 'final;'],
    ['no list', 'final'],
    ['an unknown keyword', 'half'],
    ['an unknown upload', `final;/files/${randomUUID()}`],
    ['a path that names no upload', 'final;/files/../etc/passwd'],
    ['another path', `final;/other/${randomUUID()}`],
    ['an invalid URL', 'final;http://['],
    ['too many uploads', `final;${'x '.repeat(501)}`],
  ])('refuses a final upload of %s', async (_, concat) => {
    const server = await serve()

    const answer = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-concat': concat } })

    expect([400, 404]).toContain(answer.status)
    expect(['INVALID_REQUEST', 'UPLOAD_NOT_FOUND']).toContain(codeOf(answer))
  })

  it('refuses uploads that belong to another user, are not partial, or are cancelled', async () => {
    const server = await serve()
    const foreign = await server.create(5, { ...partial, ...bearer('eve:creator') })
    const plain = await server.create(5)
    const gone = await server.create(5, partial)
    await server.ask({ method: 'DELETE', path: gone })

    const answers = []
    for (const url of [foreign, plain, gone])
      answers.push(await server.ask({ method: 'POST', path: '/files', headers: final(url) }))

    expect(answers.map(({ status }) => status)).toEqual([404, 400, 410])
  })

  it('deletes the objects of the partial uploads, which HEAD still finds', async () => {
    const server = await serve()
    const part = await sendPartial(server, Buffer.from('hello'))
    const path = await server.create(0, final(part))
    const { key } = (await server.uploadAt(path)) as unknown as { key: string }

    await server.engine.drained()

    expect(await server.keys()).toEqual([key])
    // A client that did not get the answer to its final upload sends HEAD to the partial ones.
    const { status, headers } = await server.head(part)
    expect([status, headers['upload-offset'], headers['upload-concat']]).toEqual([200, '5', 'partial'])
  })

  it('applies the rules for media types to the final upload, not to partial ones', async () => {
    const server = await serve()
    const sue = bearer('sue:subscriber')
    const part = await server.create(5, { ...partial, ...sue })
    await server.patch(part, 0, 'hello', sue)
    const finish = (type: string) =>
      server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...sue, ...final(part), 'upload-metadata': `filetype ${encoded(type)}` },
      })

    const refused = await finish('video/mp4')
    const accepted = await finish('image/png')

    expect([refused.status, codeOf(refused)]).toEqual([415, 'TYPE_NOT_ALLOWED'])
    expect(accepted.status).toBe(201)
  })

  it('refuses a NUL in the file name of a partial upload, and ignores its category', async () => {
    const server = await serve()
    const create = (metadata: string) =>
      server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...partial, 'upload-length': 5, 'upload-metadata': metadata },
      })

    const withName = await create(`filename ${encoded('a\0b')}`)
    const withCategory = await create(`category ${encoded('a\0b')}`)

    expect([withName.status, codeOf(withName)]).toEqual([400, 'INVALID_METADATA'])
    expect(withCategory.status).toBe(201)
  })

  describe('a final upload of incomplete partial uploads', () => {
    it('has a length as soon as it can be computed, and no offset', async () => {
      const server = await serve()
      const [a, b] = [await server.create(5, partial), await server.create(null, { ...partial })]
      const path = await server.create(0, final(a, b))
      const unknown = await server.head(path)
      await server.patch(b, 0, ' w', { 'upload-length': 6 })
      const known = await server.head(path)
      await server.patch(a, 0, 'hello')
      await server.patch(b, 2, 'orld')

      const whole = await server.head(path)

      expect(unknown.status).toBe(200)
      expect(unknown.headers).not.toHaveProperty('upload-offset')
      expect(unknown.headers).not.toHaveProperty('upload-length')
      expect(known.headers['upload-length']).toBe('11')
      expect(known.headers).not.toHaveProperty('upload-offset')
      expect(whole.headers).toMatchObject({ 'upload-length': '11', 'upload-offset': '11' })
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello world'))
    })

    it('takes no bytes', async () => {
      const server = await serve()
      const path = await server.create(0, final(await server.create(5, partial)))

      const answer = await server.patch(path, 0, 'hello')

      expect([answer.status, codeOf(answer)]).toEqual([403, 'FORBIDDEN'])
    })
  })
})
