import { PassThrough, Readable } from 'node:stream'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { type App, buildApp } from '../../../src/app/app.ts'
import { loadConfig } from '../../../src/config.ts'
import type { Actor } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { watchBodies } from '../../support/arrival.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { until } from '../../support/until.ts'

const secret = 'a secret that is long enough for HS256'
const root: Actor = { id: 'root', role: 'creator', tenant: null, isAdmin: true }
const ann: Actor = { id: 'ann', role: 'creator', tenant: null, isAdmin: false }

it('new policies are active on another server without breaking an active upload', {
  timeout: 60_000,
}, async () => {
  const { here, there } = await twoServers()
  const file = Buffer.alloc(300_000, 7)
  const created = await create(there, ann, file.length)
  const arrived = watchBodies(there.app.http.server)
  const body = new PassThrough()
  const sent = fetch(new URL(created.headers.get('location')!, there.url), {
    method: 'PATCH',
    headers: { ...(await tusAs(ann)), 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    body: Readable.toWeb(body) as ReadableStream,
    duplex: 'half',
  })
  body.write(file.subarray(0, 150_000))
  await arrived(150_000)

  await change(here, { users: { ann: { maxSize: '1 KiB' } } })
  await untilRefused(there)
  body.end(file.subarray(150_000))

  expect((await sent).status).toBe(204)
  expect((await sent).headers.get('upload-offset')).toBe(String(file.length))
})

it('a server that is not notified finds new policies by polling', { timeout: 60_000 }, async () => {
  const { here, there, url } = await twoServers()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  onTestFinished(() => client.end())

  // A version without a notification, as after a broken connection.
  await client.query(`insert into policy_versions (version, document, author)
    select version + 1, jsonb_set(document::jsonb, '{users}', '{"ann": {"maxSize": 1000}}'), 'root' from policy_versions`)

  for (const server of [here, there]) await untilRefused(server)
})

interface Server {
  app: App
  url: string
}

async function twoServers(): Promise<{ here: Server; there: Server; url: string }> {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  const store = memoryStore()
  const open = async (): Promise<Server> => {
    const config = loadConfig({
      NODE_ENV: 'production',
      LOG_LEVEL: 'silent',
      JWT_SECRET: secret,
      DATABASE_URL: url,
      PART_SIZE: '64KiB',
    })
    const app = await buildApp(config, { store })
    await app.working
    return { app, url: await app.http.listen({ port: 0, host: '127.0.0.1' }) }
  }
  const [here, there] = await Promise.all([open(), open()])
  onTestFinished(async () => {
    await Promise.all([here.app.stop(), there.app.stop()])
    await dispose()
  })
  return { here, there, url }
}

async function tusAs(actor: Actor) {
  return { authorization: `Bearer ${await signToken(secret, actor, 60)}`, 'tus-resumable': '1.0.0' }
}

async function create({ url }: Server, actor: Actor, size: number) {
  return fetch(`${url}/files`, { method: 'POST', headers: { ...(await tusAs(actor)), 'upload-length': String(size) } })
}

async function change({ url }: Server, difference: object): Promise<void> {
  const address = `${url}/v1/admin/policies`
  const headers = { ...(await tusAs(root)), 'content-type': 'application/json' }
  const { version, policies } = (await (await fetch(address, { headers })).json()) as {
    version: number
    policies: object
  }
  const response = await fetch(address, {
    method: 'PUT',
    headers: { ...headers, 'if-match': `"${version}"` },
    body: JSON.stringify({ policies: { ...policies, ...difference } }),
  })
  expect(response.status).toBe(200)
}

/** Resolves when `server` refuses 2000 bytes of ann. */
async function untilRefused(server: Server): Promise<void> {
  await until(async () => (await create(server, ann, 2000)).status === 413)
}
