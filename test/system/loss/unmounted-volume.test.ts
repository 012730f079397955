import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { append, create, offsetOf, openServer, readiness, tryToCreate } from '../faults/server.ts'

const run = promisify(execFile)
const MiB = 1024 ** 2

describe.skipIf(process.getuid?.() !== 0)('a volume unmounted while the server runs (needs root)', () => {
  it.each([
    ['DATA_DIR', ''],
    ['the folder for files', 'files'],
  ])('at %s is answered with 503, and uploads resume when it is mounted again', async (_, below) => {
    const { mountPoint, server, mount, unmount } = await openVolume(below)
    const bytes = randomBytes(12 * MiB)
    const path = await create(server, bytes.length)
    const other = await create(server, 1000)
    expect((await append(server, path, 0, bytes.subarray(0, 7 * MiB))).status).toBe(204)

    await unmount()
    // /readyz caches its answer for a second.
    await expect.poll(() => readiness(server), { timeout: 15_000 }).toBe(503)
    const ready = await fetch(`${server.url}/readyz`)
    const refused = [
      await append(server, path, 7 * MiB, bytes.subarray(7 * MiB)),
      await append(server, other, 0, randomBytes(1000)),
      await tryToCreate(server, 10),
    ]
    expect([ready.status, ((await ready.json()) as { reason: string }).reason]).toEqual([
      503,
      expect.stringMatching(/not mounted/),
    ])
    expect(refused.map(({ status }) => status)).toEqual([503, 503, 503])
    for (const { headers } of refused) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await readdir(mountPoint)).toEqual([])

    await mount()
    await expect.poll(() => readiness(server), { timeout: 15_000 }).toBe(200)
    const offset = await offsetOf(server, path)
    expect(offset).toBeGreaterThanOrEqual(7 * MiB)
    expect((await append(server, path, offset, bytes.subarray(offset))).status).toBe(204)
    expect(await offsetOf(server, path)).toBe(bytes.length)
    expect((await append(server, other, 0, randomBytes(1000))).status).toBe(204)
  })

  it('or mounted read-only makes the server not ready, and uploads resume', async () => {
    const { mountPoint, server } = await openVolume('files')
    const bytes = randomBytes(2 * MiB)
    const path = await create(server, bytes.length)
    expect((await append(server, path, 0, bytes.subarray(0, MiB))).status).toBe(204)

    await run('mount', ['-o', 'remount,ro,bind', mountPoint])
    await expect.poll(() => readiness(server), { timeout: 30_000 }).toBe(503)
    expect((await append(server, path, MiB, bytes.subarray(MiB))).status).toBe(503)

    await run('mount', ['-o', 'remount,rw,bind', mountPoint])
    await expect.poll(() => readiness(server), { timeout: 30_000 }).toBe(200)
    const offset = await offsetOf(server, path)
    expect((await append(server, path, offset, bytes.subarray(offset))).status).toBe(204)
  })
})

/** A server whose files are on a separate volume: a bind mount. */
async function openVolume(below: string) {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-mount-'))
  const [volume, dataDir] = [join(directory, 'volume'), join(directory, 'data')]
  const mountPoint = join(dataDir, below)
  await mkdir(volume)
  await mkdir(mountPoint, { recursive: true })
  const mount = () => run('mount', ['--bind', volume, mountPoint])
  const unmount = () => run('umount', ['--lazy', mountPoint])
  await mount()
  onTestFinished(async () => {
    await unmount().catch(() => {})
    await rm(directory, { recursive: true, force: true })
  })
  const server = await openServer({ DATA_DIR: dataDir })
  return { mountPoint, server, mount, unmount }
}
