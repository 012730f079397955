/* Ten users of three roles send real files at once to a real server, and what may not be sent leaves nothing behind. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lookup } from 'mime-types'
import pg from 'pg'
import { Upload } from 'tus-js-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { categoryOf, matchesMediaType } from '../../src/core/policy/categories.ts'
import { defaultPolicies, effectivePolicy } from '../../src/core/policy/policy.ts'
import { userOf } from '../../src/core/upload.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { localStore } from '../../src/stores/local.ts'
import { readAll } from '../stores/contract.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'

const secret = 'a secret that is long enough for HS256'
const samples = join(import.meta.dirname, '../samples')
const roles = ['creator', 'member', 'subscriber']
const users = Array.from({ length: 10 }, (_, index) => ({ id: `user-${index}`, role: roles[index % 3]! }))

let server: NodeProcess
let database: FreshDatabase
let directory: string
let client: pg.Client

beforeAll(async () => {
  database = await freshDatabase({ isMigrated: true })
  directory = await mkdtemp(join(tmpdir(), 'landfall-users-'))
  server = await startNodeProcess({
    environment: { DATABASE_URL: database.url, DATA_DIR: directory, JWT_SECRET: secret, LOG_LEVEL: 'warn' },
  })
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
}, 60_000)

afterAll(async () => {
  await server?.kill()
  await client?.end()
  await database?.dispose()
  await rm(directory, { recursive: true, force: true })
})

const store = () => localStore({ directory: join(directory, 'files'), fsync: false })

async function headersOf(user: { id: string; role: string }): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await signToken(secret, user, 600)}` }
}

interface Sample {
  name: string
  type: string
  bytes: Buffer
}

async function readSamples(): Promise<Sample[]> {
  const names = (await readdir(samples)).filter((name) => !/^README|^\.|\.(ts|sh)$/.test(name))
  return Promise.all(
    names.map(async (name) => ({
      name,
      type: lookup(name) || 'application/octet-stream',
      bytes: await readFile(join(samples, name)),
    })),
  )
}

async function send(user: { id: string; role: string }, { name, type, bytes }: Sample): Promise<string> {
  const headers = await headersOf(user)
  return new Promise((resolve, reject) => {
    const upload: Upload = new Upload(bytes as never, {
      endpoint: `${server.url}/files`,
      headers,
      metadata: { filename: name, filetype: type },
      chunkSize: 20_000,
      retryDelays: [100, 100, 100],
      onSuccess: () => resolve(upload.url!.split('/').at(-1)!),
      onError: reject,
    })
    upload.start()
  })
}

/** The marker, the probe, and the new file that replaces one of them at this moment; tails are in folders below. */
const isOfServer = (key: string) => /^\.landfall\/[^/]+$/.test(key)

async function counts(): Promise<{ rows: number; files: number }> {
  const { rows } = await client.query<{ count: string }>(`select count(*) from upload_sessions where state <> 'failed'`)
  const files: string[] = []
  for await (const key of store().list('')) if (!isOfServer(key)) files.push(key)
  return { rows: Number(rows[0]!.count), files: files.length }
}

describe('ten users at once', () => {
  it('have their files where the rules put them, and only those they may send', { timeout: 120_000 }, async () => {
    const all = await readSamples()
    expect(all.length).toBeGreaterThan(10)

    const results = await Promise.all(
      users.flatMap((user) =>
        all.map(async (sample) => {
          const { policy } = effectivePolicy(defaultPolicies, userOf(user.id, user.role))!
          const category = categoryOf(sample.type)
          const isAllowed = matchesMediaType(sample.type, policy.mediaTypes!) && policy.categories!.includes(category)
          const id = await send(user, sample).catch((error: { originalResponse?: { getStatus(): number } }) =>
            error.originalResponse?.getStatus(),
          )
          return { user, sample, category, isAllowed, id }
        }),
      ),
    )

    const allowed = results.filter((result) => result.isAllowed)
    for (const { isAllowed, id } of results) expect(isAllowed ? typeof id : id).toEqual(isAllowed ? 'string' : 415)
    for (const { user, sample, category, id } of allowed) {
      const { rows } = await client.query('select * from upload_sessions where id = $1', [id])
      expect(rows[0]).toMatchObject({
        owner_id: user.id,
        role: user.role,
        category,
        state: 'completed',
        // A type that no name tells, its first bytes do.
        content_type: sample.name === 'program.elf' ? 'application/x-elf' : sample.type,
      })
      expect(rows[0].size).toBe(String(sample.bytes.length))
      const [role, owner, date, place, name] = rows[0].key.split('/')
      expect([role, owner, place]).toEqual([user.role, user.id, category])
      expect(date).toMatch(/^\d{8}$/)
      expect(name).toMatch(new RegExp(`^[0-9a-f]{32}-${sample.name.replaceAll('.', '\\.')}$`))
      expect((await readAll(store(), rows[0].key)).equals(sample.bytes)).toBe(true)
    }
    expect(await counts()).toEqual({ rows: allowed.length, files: allowed.length })
    const { rows: keys } = await client.query(`select count(distinct key) from upload_sessions where state <> 'failed'`)
    expect(Number(keys[0].count)).toBe(allowed.length)
  })
})

describe('what may not be sent', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64')
  const words = (name: string, type: string, more = '') => ({
    'upload-metadata': `filename ${encode(name)},filetype ${encode(type)}${more}`,
  })
  const subscriber = userOf('sue', 'subscriber')

  it.each<[string, { id: string; role: string } | null, Record<string, string>, number, string]>([
    [
      'a file that is too large',
      subscriber,
      { 'upload-length': String(201 * 1024 ** 2), ...words('a.png', 'image/png') },
      413,
      'FILE_TOO_LARGE',
    ],
    [
      'a file of a wrong type',
      subscriber,
      { 'upload-length': '5', ...words('a.mp4', 'video/mp4') },
      415,
      'TYPE_NOT_ALLOWED',
    ],
    [
      'a file of a wrong category',
      subscriber,
      { 'upload-length': '5', ...words('a.png', 'image/png', `,category ${encode('video')}`) },
      422,
      'CATEGORY_NOT_ALLOWED',
    ],
    [
      'a file of a category that is none',
      subscriber,
      { 'upload-length': '5', ...words('a.png', 'image/png', `,category ${encode('../x')}`) },
      422,
      'CATEGORY_NOT_ALLOWED',
    ],
    ['a file without a token', null, { 'upload-length': '5', ...words('a.png', 'image/png') }, 401, 'UNAUTHENTICATED'],
    [
      'a file of somebody whose role may not send',
      userOf('eve', 'guest'),
      { 'upload-length': '5' },
      403,
      'ROLE_NOT_ALLOWED',
    ],
    [
      'metadata that is not Base64',
      subscriber,
      { 'upload-length': '5', 'upload-metadata': 'filename ???' },
      400,
      'INVALID_METADATA',
    ],
    [
      'metadata with a key twice',
      subscriber,
      { 'upload-length': '5', 'upload-metadata': 'a,a' },
      400,
      'INVALID_METADATA',
    ],
    [
      'a length that is none',
      subscriber,
      { 'upload-length': '-5', ...words('a.png', 'image/png') },
      400,
      'INVALID_REQUEST',
    ],
    ['no length at all', subscriber, words('a.png', 'image/png'), 400, 'INVALID_REQUEST'],
  ])('%s is refused and leaves nothing behind', async (_, user, headers, status, code) => {
    const before = await counts()

    const response = await fetch(`${server.url}/files`, {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', ...(user ? await headersOf(user) : {}), ...headers },
    })

    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({
      error: { code, message: expect.any(String), timestamp: expect.any(String) },
    })
    expect(response.headers.get('tus-resumable')).toBe('1.0.0')
    expect(await counts()).toEqual(before)
  })

  it.each(['HEAD', 'PATCH', 'DELETE'])('%s of another user says that there is nothing', async (method) => {
    const id = await send(userOf('owner', 'creator'), {
      name: 'mine.txt',
      type: 'text/plain',
      bytes: Buffer.from('mine'),
    })

    const response = await fetch(`${server.url}/files/${id}`, {
      method,
      headers: {
        'tus-resumable': '1.0.0',
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
        ...(await headersOf(userOf('stranger', 'creator'))),
      },
    })

    expect(response.status).toBe(404)
    const { rows } = await client.query('select state from upload_sessions where id = $1', [id])
    expect(rows[0].state).toBe('completed')
  })

  it.each([
    '../../../../etc/passwd',
    '..',
    '/etc/passwd',
    'C:\\windows\\system32',
    '.landfall/tails/x',
    'a\u202Egpj.exe',
    '....//....//x',
  ])('a name such as %j stays a name', async (name) => {
    const id = await send(userOf('mallory', 'creator'), { name, type: 'text/plain', bytes: Buffer.from('x') })

    const { rows } = await client.query('select key from upload_sessions where id = $1', [id])
    const segments = rows[0].key.split('/')
    expect(segments).toHaveLength(5)
    expect(rows[0].key.startsWith('creator/mallory/')).toBe(true)
    expect(
      segments.every((segment: string) => segment !== '..' && segment !== '.' && !/[\\\p{Cf}\p{Cc}]/u.test(segment)),
    ).toBe(true)
    expect((await readAll(store(), rows[0].key)).toString()).toBe('x')
  })
})
