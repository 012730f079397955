/* nginx answers 504 while the store delays the final response: the retries of the client must result in one file. */
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

/** Starts nginx with a read timeout of a second and returns its URL. */
function startNginx(port: number): string {
  const env = {
    PATH: process.env.PATH,
    UPSTREAM_PORTS: String(port),
    NGINX_NAME: randomUUID(),
    NGINX_READ_TIMEOUT: '1s',
  }
  const output = execFileSync(script, ['up'], { env, encoding: 'utf8' })
  onTestFinished(() => void execFileSync(script, ['down'], { env }))
  return /http:\S+/.exec(output)![0]
}

/** Sends a file of more than two parts through nginx, and returns the statuses that the client received. */
async function send(
  app: TestApp,
  actor: Actor,
  options: Options,
  onStatus: (status: number) => void,
): Promise<number[]> {
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
          onStatus(response.getStatus())
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

/** Holds CompleteMultipartUpload until `times` answers have a status that `matches`. */
function holdCompletion(app: TestApp, times: number, matches: (status: number) => boolean) {
  const gate = Promise.withResolvers<void>()
  app.store.fault = (call, at) => (call === 'completeMultipart' && at === 'before' ? gate.promise : undefined)
  let left = times
  return (status: number) => {
    if (matches(status)) left -= 1
    if (left === 0) gate.resolve()
  }
}

it.skipIf(!isInstalled()).each<[string, Options]>([
  ['the final upload of parallelUploads', { parallelUploads: 2 }],
  ['a creation with all bytes', { uploadDataDuringCreation: true }],
  ['partial uploads created with their bytes', { parallelUploads: 2, uploadDataDuringCreation: true }],
])('a 504 of nginx results in one file: %s', { timeout: 60_000 }, async (_which, options) => {
  const app = await testApp({ PART_SIZE: '5MiB', TRUST_PROXY: 'loopback' })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')

  const statuses = await send(
    app,
    actor,
    options,
    holdCompletion(app, 2, (status) => status === 504),
  )

  expect(statuses).toContain(504)
  await expectOneFile(app, actor)
})

// tus-js-client takes a 504 on HEAD as the end of the upload and creates a new one.
it.skipIf(!isInstalled()).each<[string, Options]>([
  ['the last PATCH', {}],
  ['the final upload of parallelUploads', { parallelUploads: 2 }],
  ['a creation with all bytes', { uploadDataDuringCreation: true }],
  ['RUFH', { protocol: 'ietf-draft-05' }],
])('a FINISH_WAIT below the timeout of nginx results in one file: %s', { timeout: 60_000 }, async (_which, options) => {
  const app = await testApp({ PART_SIZE: '5MiB', TRUST_PROXY: 'loopback', FINISH_WAIT: '200ms' })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const isRufh = options.protocol !== undefined
  // In RUFH the server closes the connection without an answer: clients resume after that, and not after a 503.
  const held = holdCompletion(app, isRufh ? 1 : 3, (status) => (isRufh ? status < 300 : [423, 503].includes(status)))

  const statuses = await send(app, actor, options, held)

  expect(statuses).not.toContain(504)
  await expectOneFile(app, actor)
})
