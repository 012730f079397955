import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { newSecret, signedHeaders } from '../../../src/features/webhooks/signature.ts'
import { ada, bodyOf } from '../../support/open-engine.ts'
import { portOf, testApp } from '../../support/test-app.ts'
import { until } from '../../support/until.ts'

const run = promisify(execFile)
const page = await readFile('docs/webhooks.md', 'utf8')
const block = (language: string) => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page)![1]!

/** Runs the receiver of the page until it listens. */
async function startReceiver(secret: string): Promise<{ url: string; written: () => string }> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-webhook-'))
  const file = join(folder, 'receiver.mjs')
  await writeFile(file, block('js'))
  const receiver = spawn(process.execPath, [file], { env: { SECRET: secret, PORT: '0' } })
  onTestFinished(async () => {
    receiver.kill()
    await rm(folder, { recursive: true })
  })
  let output = ''
  for (const stream of [receiver.stdout, receiver.stderr])
    stream.on('data', (text) => {
      output += text
    })
  const port = await until(() => /listening on port (\d+)\n/.exec(output)?.[1])
  return { url: `http://127.0.0.1:${port}/`, written: () => output }
}

it('the command and the receiver of docs/webhooks.md receive an upload', async () => {
  const app = await testApp({ WEBHOOK_HTTP: 'true', WEBHOOK_NETWORKS: '127.0.0.1' })
  const env = {
    PATH: process.env.PATH!,
    TOKEN: (await app.as()).authorization.replace('Bearer ', ''),
    LANDFALL: `http://127.0.0.1:${await portOf(app)}`,
    RECEIVER: 'http://127.0.0.1:1/',
  }
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', block('sh')], { env })
  const { id: hook, secret } = JSON.parse(stdout)
  const { url, written } = await startReceiver(secret)
  const headers = await app.as()
  await app.http.inject({ method: 'PATCH', url: `/v1/webhooks/${hook}`, headers, payload: { url } })

  const { id } = await app.engine.create(ada, { filename: 'a.txt', contentType: 'text/plain', size: 5 })
  await app.engine.append(ada, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' })

  await until(() => written().includes(`upload.completed ${id}\n`))
})

it('the receiver of docs/webhooks.md refuses what is unsigned and knows repetitions', async () => {
  const secret = newSecret()
  const { url, written } = await startReceiver(secret)
  const body = JSON.stringify({ type: 'upload.completed', data: { uploadId: 'one' } })
  const post = async (headers: Record<string, string>, text = body) =>
    (await fetch(url, { method: 'POST', headers, body: text })).status
  const now = new Date()
  const signed = signedHeaders('evt_1', now, body, [newSecret(), secret])

  const accepted = [await post(signed), await post(signed)]
  const refused = [
    await post({}),
    await post(signed, body.replace('one', 'two')),
    await post(signedHeaders('evt_1', now, body, [newSecret()])),
    await post(signedHeaders('evt_1', new Date(now.getTime() - 600_000), body, [secret])),
  ]

  expect(accepted).toEqual([204, 204])
  expect(refused).toEqual([401, 401, 401, 401])
  expect(
    written()
      .split('\n')
      .filter((line) => line === 'upload.completed one'),
  ).toHaveLength(1)
})
