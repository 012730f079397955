/* nginx gives up on an answer that the store keeps waiting, and says 504 itself: the client's own retries come to one file. */
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import * as tus from 'tus-js-client'
import { expect, it, onTestFinished } from 'vitest'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

type Options = Partial<tus.UploadOptions> & { protocol?: string }

const bytes = randomBytes(12 * 1024 ** 2)
const script = fileURLToPath(new URL('../../support/servers/nginx.sh', import.meta.url))

function isInstalled(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Starts nginx, which waits a second for an answer, and returns where it listens. */
function startNginx(port: number): string {
  const env = {
    PATH: process.env.PATH,
    UPSTREAM_PORTS: String(port),
    NGINX_NAME: randomUUID(),
    NGINX_READ_TIMEOUT: '1s',
  }
  const said = execFileSync(script, ['up'], { env, encoding: 'utf8' })
  onTestFinished(() => void execFileSync(script, ['down'], { env }))
  return /http:\S+/.exec(said)![0]
}

/** Sends a file of two parts and a bit through nginx, and returns the statuses that the client saw. */
async function send(app: TestApp, actor: Actor, options: Options, seen: (status: number) => void): Promise<number[]> {
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const url = startNginx((app.http.server.address() as AddressInfo).port)
  const statuses: number[] = []
  const headers = await app.as(actor)
  await new Promise<void>((resolve, reject) => {
    const upload = new tus.Upload(
      bytes as never,
      {
        endpoint: `${url}/files`,
        headers,
        retryDelays: Array(10).fill(10),
        onAfterResponse(_request, response) {
          statuses.push(response.getStatus())
          seen(response.getStatus())
        },
        onError: reject,
        onSuccess: () => resolve(),
        ...options,
      } as tus.UploadOptions,
    )
    upload.start()
  })
  return statuses
}

async function expectOneFile(app: TestApp, actor: Actor): Promise<void> {
  await app.engine.drained()
  const files = await app.engine.list(actor, { limit: 50, state: 'completed' })
  expect(files).toHaveLength(1)
  expect([...app.store.objects.values()].map((object) => object.equals(bytes))).toEqual([true])
}

/** Holds the store back when it is to make an object, until `times` answers came for which `isTold`. */
function holdFinish(app: TestApp, times: number, isTold: (status: number) => boolean) {
  const gate = Promise.withResolvers<void>()
  app.store.fault = (call, at) => (call === 'completeMultipart' && at === 'before' ? gate.promise : undefined)
  let left = times
  return (status: number) => {
    if (isTold(status)) left -= 1
    if (left === 0) gate.resolve()
  }
}

it.skipIf(!isInstalled()).each<[string, Options]>([
  ['the final of parallelUploads', { parallelUploads: 2 }],
  ['a creation with the whole file', { uploadDataDuringCreation: true }],
  ['partial uploads created with their bytes', { parallelUploads: 2, uploadDataDuringCreation: true }],
])('a 504 of nginx instead of the answer comes to one file: %s', { timeout: 60_000 }, async (_which, options) => {
  const app = await testApp({ PART_SIZE: '5MiB', TRUST_PROXY: 'loopback' })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')

  const statuses = await send(
    app,
    actor,
    options,
    holdFinish(app, 2, (status) => status === 504),
  )

  expect(statuses).toContain(504)
  await expectOneFile(app, actor)
})

// tus-js-client takes a 504 on HEAD for the end of the upload and begins a new one.
it.skipIf(!isInstalled()).each<[string, Options]>([
  ['the last PATCH', {}],
  ['the final of parallelUploads', { parallelUploads: 2 }],
  ['a creation with the whole file', { uploadDataDuringCreation: true }],
  ['RUFH', { protocol: 'ietf-draft-05' }],
])('a FINISH_WAIT below the timeout of nginx comes to one file: %s', { timeout: 60_000 }, async (_which, options) => {
  const app = await testApp({ PART_SIZE: '5MiB', TRUST_PROXY: 'loopback', FINISH_WAIT: '200ms' })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const isRufh = options.protocol !== undefined
  // In RUFH the connection ends instead of an answer: its clients go on after that, and not after a 503.
  const held = holdFinish(app, isRufh ? 1 : 3, (status) => (isRufh ? status < 300 : [423, 503].includes(status)))

  const statuses = await send(app, actor, options, held)

  expect(statuses).not.toContain(504)
  await expectOneFile(app, actor)
})
