import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { build } from 'vite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { localStore } from '../../../src/stores/local.ts'
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts'
import { filmOf } from '../../support/film.ts'
import { testAppOver } from '../../support/test-app.ts'
import { troubled } from '../../support/troubled-store.ts'
import { listen } from './browser.ts'
import { useBrowser } from './use-browser.ts'

// Runs the example of docs/clients.md in Chromium, on a page of another origin than the server.
const MiB = 1024 ** 2

const browser = useBrowser({ needsPage: false })

describe('Uppy', { timeout: 120_000 }, () => {
  it('uploads several files', async () => {
    const { page, files, waitForUploads, stored } = await open()
    const sent = await files(['a.bin', 1000], ['b.mp4', 3 * MiB], ['empty.txt', 0])

    await page.setInputFiles('input', Object.keys(sent))
    await waitForUploads(3)

    expect(await stored()).toEqual(digestsOf(sent))
  })

  it('pauses and resumes without sending a byte twice', async () => {
    const { page, files, waitForUploads, stored, proxy } = await open()
    const sent = await files(['film.mp4', 12 * MiB])
    proxy.set({ rate: 6 * MiB })
    await page.setInputFiles('input', Object.keys(sent))
    await until(() => proxy.counts.up > 4 * MiB)

    await page.evaluate('uppy.pauseAll()')
    await waitUntilIdle(proxy)
    proxy.set({})
    await page.evaluate('uppy.resumeAll()')
    await waitForUploads(1)

    expect(await stored()).toEqual(digestsOf(sent))
    expect(proxy.counts.up).toBeLessThan(14 * MiB)
  })

  it('resumes after a network outage', async () => {
    const { page, files, waitForUploads, stored, proxy } = await open()
    const sent = await files(['film.mp4', 12 * MiB], ['other.mp4', 6 * MiB])
    proxy.set({ rate: 6 * MiB })
    await page.setInputFiles('input', Object.keys(sent))
    await until(() => proxy.counts.up > 5 * MiB)

    proxy.set({ refuse: true })
    await page.context().setOffline(true)
    proxy.cutAll()
    await new Promise((resolve) => setTimeout(resolve, 500))
    proxy.set({})
    await page.context().setOffline(false)
    await waitForUploads(2)

    expect(await stored()).toEqual(digestsOf(sent))
    expect(proxy.counts.up).toBeLessThan(22 * MiB)
  })

  it('resumes by itself after a reload', async () => {
    const { page, files, waitForUploads, stored, proxy, requests } = await open()
    const sent = await files(['film.mp4', 30 * MiB])
    proxy.set({ rate: 5 * MiB })
    await page.setInputFiles('input', Object.keys(sent))
    await until(() => proxy.counts.up > 5 * MiB)
    // Golden Retriever saves its state at intervals.
    await new Promise((resolve) => setTimeout(resolve, 1000))

    await page.reload()
    proxy.set({})
    await waitForUploads(1)

    expect(await stored()).toEqual(digestsOf(sent))
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'HEAD', 'PATCH'])
    expect(requests[3]!.offset).toBeGreaterThan(2 * MiB)
  })
})

describe('Uppy with a store that needs longer for a file than an answer waits', { timeout: 120_000 }, () => {
  it('reports success, and the file is stored once', async () => {
    const { page, files, waitForUploads, stored, store } = await open({ FINISH_WAIT: '100ms' })
    const completed = Promise.withResolvers<void>()
    store.fault = (call, at) => (at === 'before' && call === 'completeMultipart' ? completed.promise : undefined)
    let refused = 0
    page.on('response', (response) => {
      if ([503, 423].includes(response.status())) refused += 1
      if (refused === 2) completed.resolve()
    })
    const sent = await files(['film.mp4', 20 * MiB])

    await page.setInputFiles('input', Object.keys(sent))
    await waitForUploads(1)

    expect(refused).toBeGreaterThanOrEqual(2)
    expect(await stored()).toEqual(digestsOf(sent))
  })
})

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The names and digests of files, as `stored` returns them. */
function digestsOf(files: Files): Map<string, string> {
  return new Map(Object.values(files).map(({ name, bytes }) => [name, digest(bytes)]))
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 60_000, interval: 20 }).toBe(true)
}

/** Waits until the browser has sent nothing for 300 ms. */
async function waitUntilIdle({ counts }: FaultProxy): Promise<void> {
  for (let before = -1; before !== counts.up; ) {
    before = counts.up
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

type Files = Record<string, { name: string; bytes: Buffer }>

/** Bundles the example of the document into a page with a file input. */
async function bundle(directory: string, constants: Record<string, string>): Promise<string> {
  const document = await readFile('docs/clients.md', 'utf8')
  const [, program] = /^```js browser\n(.*?)^```$/ms.exec(document)!
  await symlink(resolve('node_modules'), join(directory, 'node_modules'))
  await writeFile(join(directory, 'main.js'), `${program}\nglobalThis.uppy = uppy\n`)
  const built = await build({
    root: directory,
    configFile: false,
    logLevel: 'silent',
    define: Object.fromEntries(Object.entries(constants).map(([name, value]) => [name, JSON.stringify(value)])),
    build: { write: false, rollupOptions: { input: join(directory, 'main.js') } },
  })
  const { output } = (Array.isArray(built) ? built[0] : built) as { output: { code?: string }[] }
  const code = output[0]!.code!.replaceAll('</script', '<\\/script')
  return `<!doctype html><meta charset="utf-8"><input type="file" multiple><script type="module">${code}</script>`
}

/** The page, a server with a local store, and the proxy between them. */
async function open(env: Record<string, string> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-uppy-'))
  const store = troubled(localStore({ directory: join(directory, 'files'), fsync: false }))
  const app = await testAppOver(store, env)
  const proxy = await startFaultProxy(await listen(app.http))
  const user = userOf(randomUUID(), 'creator')
  const { authorization } = await app.as(user)
  const html = await bundle(directory, { LANDFALL: proxy.endpoint, TOKEN: authorization.slice('Bearer '.length) })
  const host = createServer((_request, response) => response.end(html)).listen(0, '127.0.0.1')
  const context = await browser().newContext()
  onTestFinished(async () => {
    await context.close()
    host.close()
    host.closeAllConnections()
    await proxy.close()
    app.http.server.closeAllConnections()
    // It writes into the folder until then.
    await app.http.close()
    await rm(directory, { recursive: true, force: true })
  })
  const page = await context.newPage()
  const requests: { method: string; offset: number }[] = []
  page.on('request', (request) => {
    const offset = Number(request.headers()['upload-offset'])
    if (request.url().startsWith(proxy.endpoint) && request.method() !== 'OPTIONS')
      requests.push({ method: request.method(), offset })
  })
  await page.goto(`http://127.0.0.1:${(host.address() as AddressInfo).port}/`)

  return {
    page,
    proxy,
    store,
    /** Requests of the page to the server. */
    requests,
    /** Creates files on disk; the keys are their paths. */
    async files(...specs: [name: string, size: number][]): Promise<Files> {
      const entries = specs.map(async ([name, size]) => {
        const bytes = name.endsWith('.mp4') ? filmOf(size) : randomBytes(size)
        const path = join(directory, name)
        await writeFile(path, bytes)
        return [path, { name, bytes }] as const
      })
      return Object.fromEntries(await Promise.all(entries))
    },
    async waitForUploads(count: number) {
      const complete = 'uppy.getFiles().filter(({ progress }) => progress.uploadComplete).length'
      await expect.poll(() => page.evaluate(complete), { timeout: 60_000, interval: 50 }).toBe(count)
    },
    /** Digests of the stored files, by file name. */
    async stored() {
      await app.engine.drained()
      const uploads = await app.engine.list(user, { limit: 10 })
      const found = uploads.map(async ({ filename, key }) => [filename, digest(await buffer(store.read(key)))] as const)
      return new Map(await Promise.all(found))
    },
  }
}
