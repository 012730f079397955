import { expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { ask } from '../../support/raw-http.ts'
import { type Seeded, seeded } from '../../support/seeded.ts'
import { chunk, serve } from './serve.ts'

// FUZZ_REQUESTS=50000 makes it the long run; FUZZ_SEED another one.
const rounds = Number(process.env.FUZZ_REQUESTS ?? 600)
const seed = process.env.FUZZ_SEED ?? '1'
const batch = 300

const numbers = [
  '0',
  '0',
  '1',
  '5',
  '30',
  '-1',
  '5.0',
  '1e9',
  '99999999999999999999',
  'x',
  '"5"',
  '',
  '5, 6',
  '00',
  ' 7',
]
const sums = [
  'sha1 AAAA',
  'sha1',
  'md5 1B2M2Y8AsgTpgAmY7PhCfg==',
  'crc32 AAAAAA==',
  'none x',
  '',
  'sha1 \xff',
  'sha1 =',
]
const fields: Record<string, string[]> = {
  'tus-resumable': ['1.0.0', '1.0.0', '1.0.0', '1.0.0', '0.2.2', '', '1.0.0, 1.0.0'],
  'upload-offset': numbers,
  'upload-length': numbers,
  'upload-defer-length': ['1', '1', '0', 'x', ''],
  'upload-metadata': [
    'filename YQ==',
    'filename',
    'filename %%%',
    ',,,',
    'filetype aGk=',
    'filetype AA==,filename AAAA',
    'filename Li4vLi4v',
    'filename //79',
    'category YQ==',
    'a YQ==,a YQ==',
    ' ',
    '\xff\xfe',
    'x'.repeat(9000),
  ],
  'upload-checksum': sums,
  'upload-concat': ['partial', 'final;', 'final;/files/x', 'final; ', 'half', 'final;http://[', 'final', 'PARTIAL', ''],
  'content-type': [chunk['content-type'], chunk['content-type'], 'text/plain', 'nonsense', '/', '', 'a/b;c'],
  'x-http-method-override': ['PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'GET', 'TRACE', '', 'patch'],
  trailer: ['Upload-Checksum', 'upload-checksum, x', 'Other', ''],
  expect: ['100-continue'],
  origin: ['https://app.example', 'null'],
}
const methods = ['POST', 'POST', 'PATCH', 'PATCH', 'HEAD', 'GET', 'PUT', 'DELETE', 'OPTIONS']

function headersOf(chance: Seeded, paths: string[]): Record<string, string> {
  const names = Object.keys(fields).filter((name) => chance.chance(name === 'tus-resumable' ? 0.95 : 0.3))
  const headers = Object.fromEntries(names.map((name) => [name, chance.pick(fields[name]!)]))
  if (chance.chance(0.1)) headers['upload-concat'] = `final;${chance.pick(paths)} ${chance.pick(paths)}`
  return headers
}

/** A body as HTTP has it, one that is cut into chunks, one that lies about its length, or none. */
function bodyOf(chance: Seeded): { headers: Record<string, string>; body?: Buffer } {
  const bytes = chance.bytes(chance.int(0, 40))
  if (chance.chance(0.4)) return { headers: {} }
  if (chance.chance(0.6)) return { headers: {}, body: bytes }
  if (chance.chance(0.3)) return { headers: { 'content-length': String(bytes.length + 3) }, body: bytes }
  const trailer = chance.chance(0.5) ? `Upload-Checksum: ${chance.pick(sums)}\r\n` : ''
  const pieces = [`${bytes.length.toString(16)}\r\n`, bytes, `\r\n0\r\n${trailer}\r\n`]
  const body = Buffer.concat(bytes.length > 0 ? pieces.map((piece) => Buffer.from(piece)) : [Buffer.from('0\r\n\r\n')])
  return { headers: { 'transfer-encoding': 'chunked' }, body: chance.chance(0.2) ? body.subarray(0, -2) : body }
}

it('nonsense is refused, never answered with a fault, harms no good upload and leaves nothing', async () => {
  const chance = seeded(seed)
  const server = await serve({ bodyIdleMs: 100 })
  const good = await server.create(8)
  await server.patch(good, 0, 'good')
  const paths = ['/files', '/files/', '/files/x', '/files/%ff', '/files/a/b', '/files/..%2f..%2fetc', '/files?a=b']
  const made = new Set<string>()

  for (let round = 1; round <= rounds; round += 1) {
    const method = chance.pick(methods)
    const path = chance.chance(0.4) ? '/files' : chance.pick(paths)
    const { body, headers: framing } = bodyOf(chance)
    const headers = { ...bearer(), ...headersOf(chance, paths), ...framing }

    const answer = await ask(server.port, { method, path, headers, ...(body && { body }) })

    const what = `seed ${seed}, request ${round}: ${method} ${path} ${JSON.stringify(headers)} ${body?.toString('hex')}`
    // A body that stalls is told to come again: that is no fault of ours.
    if (answer?.status !== 503 || !answer.body.includes('BODY_TIMEOUT')) expect(answer?.status, what).toBeLessThan(500)
    const location = answer?.headers['location']
    if (location) made.add(location)
    if (location && paths.length < 60) paths.push(location)
    if (round % batch === 0) await sendGood()
  }

  await server.patch(good, 4, ' end')
  expect((await server.objectOf(good))?.toString()).toBe('good end')
  for (const path of [...made, good]) await server.ask({ method: 'DELETE', path })
  await server.engine.idle()
  for (const { id } of await server.engine.list(userOf('ada', 'creator'), { limit: 10_000 }))
    await server.engine.clean(id)
  expect(await server.keys()).toEqual([])
  expect(server.faults).toEqual([])

  async function sendGood(): Promise<void> {
    const path = await server.create(5)
    await server.patch(path, 0, 'hello')
    expect((await server.objectOf(path))?.toString()).toBe('hello')
    made.add(path)
  }
}, 3_600_000)
