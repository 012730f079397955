import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { withEngine } from '../../src/cli/engine-at.ts'
import { createProgram } from '../../src/cli/program.ts'
import { userOf } from '../../src/core/upload.ts'
import { readConfig } from '../../src/server/environment.ts'
import { bodyOf } from '../support/open-engine.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'

const ann = userOf('ann', 'creator', { tenant: 'acme' })
let database: FreshDatabase
let directory: string
beforeAll(async () => {
  database = await freshDatabase({ isMigrated: true })
  directory = await mkdtemp(join(tmpdir(), 'landfall-uploads-'))
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubEnv('JWT_SECRET', 'a secret that is long enough for HS256')
  vi.stubEnv('DATABASE_URL', database.url)
  vi.stubEnv('DATA_DIR', directory)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await database.dispose()
  await rm(directory, { recursive: true })
})

it('lists, shows, finishes, expires and cancels uploads', async () => {
  await run('migrate')
  const [whole, part, other] = await withEngine(readConfig(), async ({ engine }) => {
    const create = (filename: string) => engine.create(ann, { filename, contentType: 'text/plain', size: 5 })
    const uploads = [await create('whole.txt'), await create('part.txt'), await create('other.txt')]
    const body = { body: bodyOf(Buffer.from('hello')), bodySize: 5 }
    await engine.append(ann, uploads[0]!.id, { ...body, offset: 0, ending: 'later' })
    return uploads.map(({ id }) => id)
  })

  expect(await run('uploads', 'list', '--text', 'WHOLE')).toEqual([
    expect.stringMatching(new RegExp(`^${whole}\t\\S+\treceiving\tacme/ann\tcreator\t5 bytes of 5 bytes\twhole.txt$`)),
  ])
  expect(await run('uploads', 'list', '--state', 'completed')).toEqual([])
  expect(await run('uploads', 'list', '--limit', '1', '--before', other!)).toEqual([expect.stringContaining(part!)])
  await expect(run('uploads', 'finish', part!)).rejects.toThrow('LENGTH_MISMATCH')
  expect(await run('uploads', 'finish', whole!)).toEqual([`${whole} is completed`])
  expect(await run('uploads', 'expire', part!)).toEqual([`${part} is expired`])
  expect(await run('uploads', 'cancel', other!)).toEqual([`${other} is cancelled`])
  await expect(run('uploads', 'cancel', other!)).rejects.toThrow('UPLOAD_GONE')
  const shown = await run('uploads', 'show', whole!)
  expect(shown[1]).toBe('file      whole.txt, text/plain, document')
  expect(shown.slice(-4)).toEqual([
    expect.stringMatching(/Z {2}upload\.create {2}ann$/),
    expect.stringMatching(/Z {2}upload\.created {2}not delivered yet$/),
    expect.stringMatching(/Z {2}upload\.complete {2}\w+ at the command line$/),
    expect.stringMatching(/Z {2}upload\.completed {2}not delivered yet$/),
  ])
  await expect(run('uploads', 'show', randomUUID())).rejects.toThrow('no such upload')
})

it('escapes characters in file names that a terminal would interpret', async () => {
  const id = await withEngine(readConfig(), async ({ engine }) => {
    const filename = 'a\u001b]0;owned\u0007\nb\u009b2J.txt'
    return (await engine.create(ann, { filename, contentType: 'text/plain', size: 5 })).id
  })

  const [line] = await run('uploads', 'list', '--text', id)
  const shown = await run('uploads', 'show', id)

  expect(line).toMatch(/\ta\\u001b\]0;owned\\u0007\\u000ab\\u009b2J\.txt$/)
  expect(shown.slice(0, 2).join('')).not.toMatch(/(?!\t)\p{Cc}/u)
})

it('follows the policies in the database, not those of the settings', async () => {
  const file = join(directory, 'policies.json')
  const visitor = userOf('vera', 'visitor')
  const shown = JSON.parse((await run('policies', 'show')).join('\n'))
  await writeFile(file, JSON.stringify({ ...shown, roles: { ...shown.roles, visitor: shown.roles.creator } }))
  await run('policies', 'set', file)

  const id = await withEngine(readConfig(), async ({ engine }) => {
    const upload = await engine.create(visitor, { filename: 'a.txt', contentType: 'text/plain', size: 5 })
    const body = { body: bodyOf(Buffer.from('hello')), bodySize: 5 }
    await engine.append(visitor, upload.id, { ...body, offset: 0, ending: 'later' })
    return upload.id
  })

  expect(await run('uploads', 'finish', id)).toEqual([`${id} is completed`])
})

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = []
  await createProgram((line) => lines.push(line))
    .exitOverride()
    .parseAsync(args, { from: 'user' })
  return lines
}
