import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withFolderLock } from '../../../src/db/embedded/folder-lock.ts'
import { startNodeProcess } from '../../support/node-process.ts'

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-lock-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return join(folder, 'lock')
}

describe('the folder lock', () => {
  it('has one holder at a time, and every caller gets it', async () => {
    const folder = await newFolder()
    let inside = 0
    const counts: number[] = []

    await Promise.all(
      Array.from({ length: 20 }, () =>
        withFolderLock(folder, async () => {
          counts.push(++inside)
          await new Promise((resolve) => setImmediate(resolve))
          inside -= 1
        }),
      ),
    )

    expect(counts).toEqual(Array.from({ length: 20 }, () => 1))
    expect(await readdir(folder)).toHaveLength(1)
  })

  it('is free after its holder was killed', async () => {
    const folder = await newFolder()
    const holder = await startNodeProcess({
      script: new URL('./hold-lock.ts', import.meta.url).pathname,
      arguments: [folder],
    })
    onTestFinished(() => holder.kill())
    let isHeld = false
    const waiting = withFolderLock(folder, async () => {
      isHeld = true
    })
    expect(isHeld).toBe(false)

    await holder.kill()
    await waiting

    expect(isHeld).toBe(true)
    expect(await readdir(folder)).toHaveLength(1)
  })

  it('is released when the work fails', async () => {
    const folder = await newFolder()

    await expect(withFolderLock(folder, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')

    expect(await withFolderLock(folder, async () => 'in')).toBe('in')
  })

  it('works below a path that is longer than a socket address', async () => {
    const folder = join(await newFolder(), 'x'.repeat(120), 'y'.repeat(120))

    expect(await withFolderLock(folder, async () => 'in')).toBe('in')
  })

  it('is not held by a number whose socket is gone', async () => {
    const folder = await newFolder()
    await withFolderLock(folder, async () => {})
    await symlink('socket-gone', join(folder, '7'))

    expect(await withFolderLock(folder, async () => 'in')).toBe('in')
    expect(await readdir(folder)).toEqual(['8'])
  })
})
