/* The server verifies the digests of the whole file in Upload-Metadata before it completes the upload, in every protocol that reads them. */
import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { appendHeaders, interop, lastIn, serve as serveRufh } from './rufh/serve.ts'
import { codeOf, encoded, serve, type TusServer } from './tus/serve.ts'

const file = randomBytes(45)
const algorithms = ['md5', 'sha1', 'sha256', 'sha512']
const metadata = (algorithm: string, bytes: Buffer) => ({
  'upload-metadata': `filename ${encoded('a.bin')},checksum ${encoded(`${algorithm} ${createHash(algorithm).update(bytes).digest('hex')}`)}`,
})

async function send(server: TusServer, path: string, bytes: Buffer, cuts: number[]) {
  let answer: Awaited<ReturnType<TusServer['patch']>> | undefined
  let from = 0
  for (const to of [...cuts, bytes.length]) {
    answer = await server.patch(path, from, bytes.subarray(from, to))
    from = to
  }
  return answer!
}

describe.each([
  ['one body', []],
  ['several bodies', [10, 23]],
])('a file in tus in %s', (_, cuts) => {
  it.each(algorithms)('is completed when its %s in the metadata is right', async (algorithm) => {
    const server = await serve()
    const path = await server.create(file.length, metadata(algorithm, file))

    expect((await send(server, path, file, cuts)).status).toBe(204)
    expect(await server.objectOf(path)).toEqual(file)
  })

  it.each(algorithms)('fails when its %s in the metadata is wrong', async (algorithm) => {
    const server = await serve()
    const path = await server.create(file.length, metadata(algorithm, randomBytes(45)))

    const answer = await send(server, path, file, cuts)

    expect([answer.status, codeOf(answer)]).toEqual([460, 'CHECKSUM_MISMATCH'])
    expect((await server.head(path)).status).toBe(410)
  })
})

it('digests in tus metadata hold for a final upload and not for partial ones', async () => {
  const server = await serve()
  const create = (bytes: Buffer) =>
    server.create(bytes.length, { 'upload-concat': 'partial', ...metadata('md5', file) })
  const concatenate = (paths: string[], of: Buffer) =>
    server.ask({
      method: 'POST',
      path: '/files',
      headers: { 'tus-resumable': '1.0.0', 'upload-concat': `final;${paths.join(' ')}`, ...metadata('md5', of) },
    })
  const [a, b] = [file.subarray(0, 20), file.subarray(20)]
  const paths = [await create(a), await create(b)]

  expect((await server.patch(paths[0]!, 0, a)).status).toBe(204)
  expect((await server.patch(paths[1]!, 0, b)).status).toBe(204)
  const wrong = await concatenate(paths.toReversed(), file)
  const right = await concatenate(paths, file)

  expect([wrong.status, codeOf(wrong)]).toEqual([460, 'CHECKSUM_MISMATCH'])
  expect(right.status).toBe(201)
})

it.each([5, 8])('RUFH %i verifies digests in the metadata unless Repr-Digest has them', async (version) => {
  const server = await serveRufh()
  const create = (headers: Record<string, string>) =>
    server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(version), ...lastIn(version, true), ...headers },
      body: file,
    })
  const digest = createHash('sha256').update(file).digest('base64')

  const wrong = await create(metadata('md5', randomBytes(45)))
  const right = await create(metadata('md5', file))
  const both = await create({ ...metadata('sha256', randomBytes(45)), 'repr-digest': `sha-256=:${digest}:` })

  expect([wrong.status, right.status, both.status]).toEqual([400, 201, 201])
  // Repr-Digest has active algorithms only, and MD5 is not one.
  expect(right.headers).not.toHaveProperty('repr-digest')
  const append = {
    method: 'PATCH',
    path: wrong.headers['location']!,
    headers: appendHeaders(version, 45, true),
    body: '',
  }
  expect((await server.ask(append)).status).toBeGreaterThanOrEqual(400)
})
