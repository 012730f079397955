import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { prepareFolder } from '../../src/stores/folder.ts'
import { localStore } from '../../src/stores/local.ts'

const isLinux = process.platform === 'linux'
const isRoot = process.getuid?.() === 0

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-folder-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Mounts a file system in memory, which ends with the test. */
async function mounted(options: string): Promise<string> {
  const folder = await newFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  return folder
}

/** A folder that denies access to this process, which is not root for the rest of the test. */
async function denied(): Promise<string> {
  const folder = await newFolder()
  await chmod(folder, 0o555)
  if (isRoot) {
    process.seteuid!(65_534)
    onTestFinished(() => process.seteuid!(0))
  }
  return folder
}

describe('a folder', () => {
  it('is created with those above it, and no file is left in it', async () => {
    const folder = await newFolder()

    const created = await Promise.all([1, 2, 3].map(() => prepareFolder(join(folder, 'a/b/c'))))

    expect(created).toContain(join(folder, 'a'))
    expect(await readdir(join(folder, 'a/b/c'))).toEqual([])
    expect(await prepareFolder(join(folder, 'a/b/c'))).toBeUndefined()
  })

  interface Unusable {
    /** The name of the folder. */
    name: string
    path: () => string | Promise<string>
    code: string
    fix: RegExp
    /** What the system needs for it. */
    needs?: boolean
  }

  it.for<Unusable>([
    {
      name: 'below a file',
      path: async () => join(await fileIn(await newFolder()), 'data'),
      code: 'ENOTDIR',
      fix: /There is a file where a folder should be: set DATA_DIR to a folder\.$/,
    },
    {
      name: 'at a file',
      path: async () => fileIn(await newFolder()),
      code: 'EEXIST',
      fix: /There is a file where a folder should be: set DATA_DIR to a folder\.$/,
    },
    { name: 'at a device', path: () => '/dev/null', code: 'EEXIST', fix: /There is a file where a folder should be/ },
    {
      name: 'at a link to nothing',
      path: async () => linkIn(await newFolder(), 'nowhere/at/all'),
      code: 'ENOENT',
      fix: /\/link is a link to a folder that does not exist: mount its volume, or set DATA_DIR to a folder\.$/,
    },
    {
      name: 'below a link to nothing',
      path: async () => join(await linkIn(await newFolder(), 'nowhere/at/all'), 'data/x'),
      code: 'ENOENT',
      fix: /\/link is a link to a folder that does not exist: mount its volume/,
    },
    {
      name: 'at a link to itself',
      path: async () => linkIn(await newFolder(), 'link'),
      code: 'ELOOP',
      fix: /Set DATA_DIR to a folder that this process may write to\.$/,
    },
    {
      name: 'with a long name',
      path: async () => join(await newFolder(), 'x'.repeat(300)),
      code: 'ENAMETOOLONG',
      fix: /The path is too long: set DATA_DIR to a shorter one\.$/,
    },
    {
      name: 'at a long path',
      path: async () => join(await newFolder(), 'long-name/'.repeat(600)),
      code: 'ENAMETOOLONG',
      fix: /The path is too long/,
    },
    {
      name: 'below /proc',
      path: () => '/proc/landfall/data',
      code: 'ENOENT',
      fix: /No folder can be created there: set DATA_DIR to a folder on a disk\.$/,
      needs: isLinux,
    },
    {
      name: 'below /sys',
      path: () => '/sys/landfall/data',
      code: isRoot ? 'EPERM' : 'EACCES',
      fix: /folder that this process may write to\.$|belongs to user 0/,
      needs: isLinux,
    },
    {
      name: 'of another user',
      path: async () => join(await denied(), 'data'),
      code: 'EACCES',
      fix: /This process runs as user 65534, and \S+ belongs to user 0: chown it, or run as its owner\.$/,
      needs: isRoot,
    },
    {
      name: 'without permission of its owner',
      path: denied,
      code: 'EACCES',
      fix: /Set DATA_DIR to a folder that this process may write to\.$/,
      needs: !isRoot,
    },
    {
      name: 'that exists on a read-only disk',
      path: () => mounted('ro'),
      code: 'EROFS',
      fix: /mounted read-only: mount a volume there, or set DATA_DIR to one\.$/,
      needs: isRoot && isLinux,
    },
    {
      name: 'that is missing on a read-only disk',
      path: async () => join(await mounted('ro'), 'data'),
      code: 'EROFS',
      fix: /mounted read-only/,
      needs: isRoot && isLinux,
    },
    {
      name: 'on a full disk',
      path: async () => join(await mounted('size=16k,nr_inodes=1'), 'data'),
      code: 'ENOSPC',
      fix: /The disk is full: free some space, or set DATA_DIR to a larger disk\.$/,
      needs: isRoot && isLinux,
    },
    {
      name: 'that exists on a full disk',
      path: () => mounted('size=16k,nr_inodes=1'),
      code: 'ENOSPC',
      fix: /The disk is full/,
      needs: isRoot && isLinux,
    },
  ])(
    '$name is refused at once, with the reason and the fix in one line',
    async ({ path, code, fix, needs = true }, { skip }) => {
      skip(!needs, 'needs Linux, or root, who may write anywhere and mount, or another user')
      const folder = await path()

      const error = await prepareFolder(folder).catch((thrown: Error) => thrown)

      expect(error).toMatchObject({ name: 'UnusableFolder', code: 'UNUSABLE_FOLDER' })
      const { message } = error as Error
      expect(message).toMatch(new RegExp(`^/\\S+ is not writable \\(${code}: [a-z -]+\\)\\. [A-Z/]`))
      expect(message).toMatch(fix)
      expect(message.length).toBeLessThan(500)
    },
  )

  it('that cannot be used is refused by the local store too, and not tried again', async () => {
    const file = await fileIn(await newFolder())

    await expect(localStore({ directory: file, fsync: true }).prepare!()).rejects.toMatchObject({
      name: 'UnusableFolder',
    })
  })
})

async function fileIn(folder: string): Promise<string> {
  await writeFile(join(folder, 'file'), '')
  return join(folder, 'file')
}

async function linkIn(folder: string, target: string): Promise<string> {
  await symlink(target, join(folder, 'link'))
  return join(folder, 'link')
}
