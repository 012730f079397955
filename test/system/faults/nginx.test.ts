/* Two servers behind nginx, as in production: a request on a dead connection is taken over through the proxy. */
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { freshDatabase } from '../../support/postgres.ts'
import { headOf, openRaw } from '../../support/raw-http.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { headersOf, sendFile } from '../../support/tus-file.ts'
import { openServer, patchHeaders } from './server.ts'

const MiB = 1024 ** 2
const script = fileURLToPath(new URL('../../support/servers/nginx.sh', import.meta.url))

function isInstalled(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

it('a stalled request is taken over through the proxy within two seconds', { timeout: 120_000 }, async ({ skip }) => {
  if (!isInstalled()) skip('nginx is not installed')
  const database = await freshDatabase()
  const s3 = await startS3StandIn({ equalParts: true })
  const environment = {
    STORE: 's3',
    PART_SIZE: '5MiB',
    DATABASE_URL: database.url,
    ...s3.settings,
    TRUST_PROXY: 'loopback',
  }
  const nodes = [await openServer(environment), await openServer(environment)]
  const env = {
    PATH: process.env.PATH,
    UPSTREAM_PORTS: nodes.map((node) => node.port).join(' '),
    NGINX_NAME: randomUUID(),
  }
  const output = execFileSync(script, ['up'], { env, encoding: 'utf8' })
  const proxy = /http:\S+/.exec(output)![0]
  onTestFinished(async () => {
    execFileSync(script, ['down'], { env })
    await Promise.all(nodes.map((node) => node.kill()))
    await s3.close()
    await database.dispose()
  })
  const bytes = randomBytes(13 * MiB)
  const identity = await headersOf()
  const tusHeaders = { 'tus-resumable': '1.0.0', ...identity }
  const created = await fetch(`${proxy}/files`, {
    method: 'POST',
    headers: { ...tusHeaders, 'upload-length': String(bytes.length) },
  })
  const path = new URL(created.headers.get('location')!, proxy).pathname
  const stalled = await openRaw(Number(new URL(proxy).port))
  const headers = { ...(await patchHeaders(0)), 'content-length': bytes.length }
  await stalled.send(headOf({ method: 'PATCH', path, headers }))
  await stalled.send(bytes.subarray(0, 7 * MiB))
  await new Promise((resolve) => setTimeout(resolve, 1000))

  const before = performance.now()
  const answer = await fetch(proxy + path, { method: 'HEAD', headers: tusHeaders })
  const tookMs = performance.now() - before

  expect(answer.headers.get('upload-offset')).toBe(String(7 * MiB))
  expect(tookMs).toBeLessThan(2000)
  await sendFile(proxy, bytes, { uploadUrl: proxy + path })
  const objects = await Promise.all(s3.files().map(({ key }) => s3.bytesOf(key)))
  expect(objects.map((object) => object?.equals(bytes))).toEqual([true])
  stalled.cut()
})
