import { expect, it } from 'vitest'
import { type Seeded, seeded } from '../../support/seeded.ts'
import { serve } from './serve.ts'

const rounds = Number(process.env.RUFH_REQUESTS ?? 600)
const seed = Number(process.env.RUFH_SEED ?? 1)

const numbers = ['0', '1', '5', '30', '-1', '5.0', '1e9', '99999999999999999999', 'x', '"5"', '', '5;a=b', '5, 6', '?1']
const booleans = ['?1', '?0', '?1;x', 'true', '1', '', '?2', '?1, ?0']
const digests = ['sha-256=:AAAA:', 'sha-256=5', 'sha-256', ',', 'sha-256=:AA', 'md5=:AAAA:', 'sha-512=:AAAA:;x', 'x=(']
const fields: Record<string, string[]> = {
  'upload-draft-interop-version': ['3', '4', '5', '6', '7', '8', '9', '10', '2', '11', 'x', '06', '6, 6'],
  'upload-complete': booleans,
  'upload-incomplete': booleans,
  'upload-offset': numbers,
  'upload-length': numbers,
  'content-type': ['application/partial-upload', 'text/plain', 'nonsense', '/', 'image/*; q=', ';', 'a/b;c'],
  'content-disposition': [
    'inline',
    'inline; filename="x',
    "inline; filename*=UTF-8''%ZZ",
    'inline; filename="\xff\xfe"',
    '=;=;"',
  ],
  'upload-metadata': ['filename', 'filename %%%', ',,,', 'filetype aGk=', 'filename AA==,filename AA==', ' '],
  'content-digest': digests,
  'repr-digest': digests,
  'want-repr-digest': ['sha-256=10', 'sha-256=-1', 'sha-256=x', 'x'],
  'x-http-method-override': ['PATCH', 'DELETE', 'TRACE', ''],
  'tus-resumable': ['1.0.0'],
  expect: ['100-continue'],
  origin: ['https://app.example', 'null'],
}
const methods = ['POST', 'PUT', 'PATCH', 'HEAD', 'GET', 'DELETE', 'OPTIONS']

function headersOf(chance: Seeded): Record<string, string> {
  const names = Object.keys(fields).filter(() => chance.chance(0.3))
  return Object.fromEntries(names.map((name) => [name, chance.pick(fields[name]!)]))
}

it('nonsense is refused, never answered with a fault, and harms no good upload', async () => {
  const chance = seeded(seed)
  const server = await serve({ bodyIdleMs: 300 })
  const good = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-complete': '?0' }, body: 'good' })
  const paths = [good.headers['location']!, '/files', '/files/', '/files/x', '/files/%ff', '/files/a/b']

  for (let round = 0; round < rounds; round += 1) {
    const method = chance.pick(methods)
    const path = chance.pick(['/files', '/files', ...paths.slice(1), paths.at(-1)!])
    const headers = headersOf(chance)
    const body = chance.chance(0.6) ? chance.bytes(chance.int(0, 40)) : undefined

    const answer = await server.tryAsk({ method, path, headers, ...(body && { body }) })

    const what = `seed ${seed}, request ${round}: ${method} ${path} ${JSON.stringify(headers)}`
    if (answer) expect(answer.status, what).toBeLessThan(500)
    else expect(body, what).toBeDefined()
    if (answer?.status === 201 && answer.headers['location']) paths.push(answer.headers['location'])
  }

  const end = await server.ask({
    method: 'PATCH',
    path: good.headers['location']!,
    headers: { 'upload-offset': 4, 'upload-complete': '?1', 'content-type': 'application/partial-upload' },
    body: ' end',
  })
  expect(end.headers['upload-complete']).toBe('?1')
  expect((await server.objectOf(good.headers['location']!))?.toString()).toBe('good end')
  expect(server.faults).toEqual([])
}, 300_000)
