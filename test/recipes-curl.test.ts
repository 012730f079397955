import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { expect, it, onTestFinished } from 'vitest'
import { olderSpellingPlugin } from '../../../src/protocols/rest/older-spelling.ts'
import { restPlugin } from '../../../src/protocols/rest/plugin.ts'
import { buildTestApp } from '../../support/build-test-app.ts'
import { ada } from '../../support/open-engine.ts'
import { seeded } from '../../support/seeded.ts'

const recipes = readFileSync(new URL('../../../docs/curl.md', import.meta.url), 'utf8')

/** The commands of a page, from top to bottom. */
function commandsOf(page: string): string {
  return [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands).join('\n')
}

const missing = ['bash', 'curl', 'jq', 'openssl', 'split'].filter((tool) => spawnSync(tool, ['--version']).error)

it.runIf(missing.length === 0)(
  'the recipes for curl do what they say (needs bash, curl, jq, openssl and split)',
  { timeout: 120_000 },
  async () => {
    const { engine, store, url } = await buildTestApp(async (scope, engine) => {
      await scope.register(restPlugin, { engine, bodyIdleMs: 5000, prefix: '/v1' })
      await scope.register(olderSpellingPlugin, { engine, bodyIdleMs: 5000, prefix: '/api/upload' })
    })
    const folder = await mkdtemp(join(tmpdir(), 'landfall-curl-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    // Six chunks of 64 KiB and a bit.
    const bytes = seeded('curl').bytes(400_000)
    await writeFile(join(folder, 'file'), bytes)

    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commandsOf(recipes)], {
      env: {
        PATH: process.env.PATH,
        LANDFALL: url,
        TOKEN: `${ada.id}:${ada.role}`,
        FILE: join(folder, 'file'),
        TMPDIR: folder,
      },
    })

    const uploads = (await engine.list(ada, { limit: 20 })).toReversed()
    expect(uploads.map(({ filename, state, category }) => [filename, state, category])).toEqual([
      ['holiday.mp4', 'completed', 'video'],
      ['holiday.mp4.gz', 'completed', 'other'],
      ['one.bin', 'completed', 'other'],
      ['two.bin', 'completed', 'other'],
      ['checked.mp4', 'completed', 'video'],
      ['holiday.mp4', 'completed', 'video'],
      ['mistake.mp4', 'cancelled', 'video'],
      ['hello.txt', 'completed', 'document'],
    ])
    const bytesOf = (index: number) => read(store, uploads[index]!.key)
    for (const index of [0, 2, 3, 4, 5]) expect((await bytesOf(index)).equals(bytes)).toBe(true)
    expect(gunzipSync(await bytesOf(1)).equals(bytes)).toBe(true)
    expect((await bytesOf(7)).toString()).toBe('hello')
    expect(stdout).toContain('"received_bytes": 400000')
    expect(stdout).toMatch(/"missing_ranges": \[\]/)
  },
)

async function read(store: { read(key: string): AsyncIterable<Buffer> }, key: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of store.read(key)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
