import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import type { Result } from '../../../tools/bench/print.ts'

const script = new URL('../../../tools/bench/run.ts', import.meta.url).pathname

function hasOpenssl(): boolean {
  return spawnSync('openssl', ['version']).status === 0
}

// The only test of S3 over TLS, where an answer can arrive before the body has been sent.
it.skipIf(!hasOpenssl())('uploads to S3 over TLS (needs openssl)', { timeout: 240_000 }, async () => {
  const args = ['--cases', 'large-tls', '--servers', 'ours', '--rounds', '1', '--scale', '0.1']

  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args])

  expect(stdout).toMatch(/UploadPart 13, CompleteMultipartUpload 1/)
})

// The values are not checked, only that there are some.
it('measures Landfall, the usual stack and the lower bound, in S3 and on disk', { timeout: 240_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-bench-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const json = join(directory, 'figures.json')
  const svg = join(directory, 'figures.svg')

  const args = [
    '--cases',
    'patches-5m,disk-small-8,embedded-8',
    '--rounds',
    '1',
    '--scale',
    '0.01',
    '--json',
    json,
    '--svg',
    svg,
  ]
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args])

  expect(stdout).toContain('against peer')
  const { results } = JSON.parse(await readFile(json, 'utf8')) as { results: Result[] }
  expect(results.map(({ name }) => name)).toEqual(['patches-5m', 'disk-small-8', 'embedded-8'])
  for (const { medians } of results) {
    expect(Object.keys(medians)).toEqual(['ours', 'peer', 'bound'])
    for (const figures of Object.values(medians)) {
      expect(figures.mbPerSecond).toBeGreaterThan(0)
      expect(figures.cpuPerGiB).toBeGreaterThan(0)
    }
  }
  // The number of S3 requests does not depend on the load of the machine. Creating and completing the multipart upload are acknowledged
  // only after the marker of the store was read again.
  expect(results[0]!.medians.ours!.requests).toEqual({
    GetObject: 2,
    CreateMultipartUpload: 1,
    UploadPart: 2,
    CompleteMultipartUpload: 1,
    HeadObject: 1,
  })
  expect(await readFile(svg, 'utf8')).toContain('prefers-color-scheme: dark')
})
