import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from './support/fault-proxy.ts'
import { filmOf } from './support/film.ts'
import { ada } from './support/open-engine.ts'
import { testApp } from './support/test-app.ts'
import { until } from './support/until.ts'

const recipes = readFileSync('docs/curl.md', 'utf8')

/** The commands of a page, in order. */
function commandsOf(page: string): string {
  return [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands).join('\n')
}

const missing = ['bash', 'curl', 'jq', 'openssl', 'split'].filter((tool) => spawnSync(tool, ['--version']).error)

it.runIf(missing.length === 0)(
  'runs the recipes for curl (needs bash, curl, jq, openssl and split)',
  { timeout: 120_000 },
  async () => {
    const { http, engine, store, as } = await testApp({ PART_SIZE: '64KiB', CHUNK_SIZE: '64KiB', LOCK_WAIT: '5s' })
    await http.listen({ host: '127.0.0.1', port: 0 })
    const wire = await startFaultProxy(`http://127.0.0.1:${(http.server.address() as AddressInfo).port}`)
    const folder = await mkdtemp(join(tmpdir(), 'landfall-curl-'))
    onTestFinished(async () => {
      await wire.close()
      await rm(folder, { recursive: true, force: true })
    })
    // Six chunks of 64 KiB and a bit.
    const bytes = filmOf(400_000)
    await writeFile(join(folder, 'file'), bytes)
    const { authorization } = await as(ada)
    // The first request with bytes in each resumable protocol is cut off in the middle.
    const resumedAt: Record<string, number[]> = { tus: [], RUFH: [] }
    http.server.on('request', ({ method, headers }) => {
      const protocol = headers['upload-draft-interop-version'] ? 'RUFH' : 'tus'
      if (method === 'PATCH') resumedAt[protocol]!.push(Number(headers['upload-offset']))
      if (protocol === 'RUFH' ? method !== 'POST' : method !== 'PATCH' || headers['upload-offset'] !== '0') return
      const { cuts } = wire.counts
      wire.set({ rate: 500_000, cutAfterBytes: 250_000 })
      void until(() => wire.counts.cuts > cuts).then(() => wire.set({}))
    })

    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commandsOf(recipes)], {
      env: {
        PATH: process.env.PATH,
        LANDFALL: wire.endpoint,
        TOKEN: authorization.slice('Bearer '.length),
        FILE: join(folder, 'file'),
        TMPDIR: folder,
      },
    })

    const uploads = (await engine.list(ada, { limit: 20 })).toReversed()
    expect(uploads.map(({ filename, state, category }) => [filename, state, category])).toEqual([
      ['holiday.mp4', 'completed', 'video'],
      ['holiday.mp4.gz', 'completed', 'other'],
      ['one.bin', 'completed', 'video'],
      ['two.bin', 'completed', 'video'],
      ['checked.mp4', 'completed', 'video'],
      ['holiday.mp4', 'completed', 'video'],
      ['mistake.mp4', 'cancelled', 'video'],
      ['by-tus.mp4', 'completed', 'video'],
      ['by-rufh.mp4', 'completed', 'video'],
      ['hello.txt', 'completed', 'document'],
    ])
    const bytesOf = (index: number) => read(store, uploads[index]!.key)
    for (const index of [0, 2, 3, 4, 5, 7, 8]) expect((await bytesOf(index)).equals(bytes)).toBe(true)
    expect(gunzipSync(await bytesOf(1)).equals(bytes)).toBe(true)
    expect((await bytesOf(9)).toString()).toBe('hello')
    expect(stdout).toContain('"received_bytes": 400000')
    expect(resumedAt).toEqual({ tus: [0, expect.toSatisfy(isInside)], RUFH: [expect.toSatisfy(isInside)] })
    expect(stdout).toMatch(/"missing_ranges": \[\]/)
  },
)

const isInside = (offset: number) => offset > 0 && offset < 400_000

async function read(store: { read(key: string): AsyncIterable<Buffer> }, key: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of store.read(key)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
