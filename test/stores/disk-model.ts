import fs, { existsSync, type PathLike, readdirSync, readlinkSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname } from 'node:path'
import { onTestFinished, vi } from 'vitest'

/** What a power failure would leave of the files of this process. */
export interface DiskModel {
  /** Whether the file at `path` would be there, with its bytes and all its folders below `root`. */
  survives(path: string, root: string): boolean
  /** Whether the bytes of the file would survive, whatever its name. */
  hasBytes(path: string): boolean
  /** Paths at which a file got its final name before its bytes were on the disk. */
  namedTooEarly: string[]
  /** The folders that were synced, in order. */
  syncedFolders: string[]
}

/**
 * Watches the calls that write, sync and name files, and remembers what is on the disk: bytes when a sync that began after they were
 * written has ended, names when their folder was synced after they were given. Every sync is slow, so that what does not wait for it shows.
 */
export async function watchDisk(): Promise<DiskModel> {
  const syncedBytes = new Set<number>()
  const syncedNames = new Map<string, Map<string, number>>()
  const namedTooEarly: string[] = []
  const syncedFolders: string[] = []

  const probe = await open('/dev/null')
  const handles = Object.getPrototypeOf(probe) as FileHandle
  await probe.close()
  const { writev, truncate, sync, datasync } = handles
  const pathOf = (file: FileHandle) => readlinkSync(`/proc/self/fd/${file.fd}`)
  const inodeOf = (file: FileHandle) => fs.fstatSync(file.fd).ino

  /** The names in the folder as they are when a sync of it begins. */
  function namesIn(folder: string): Map<string, number> {
    return new Map(readdirSync(folder).map((name) => [name, statSync(`${folder}/${name}`).ino]))
  }
  function slowly(real: (this: FileHandle) => Promise<void>) {
    return async function (this: FileHandle) {
      const path = pathOf(this)
      const isFolder = statSync(path).isDirectory()
      const names = isFolder ? namesIn(path) : null
      const inode = inodeOf(this)
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      await real.call(this)
      if (names) syncedNames.set(path, names)
      else syncedBytes.add(inode)
      if (isFolder) syncedFolders.push(path)
    }
  }
  const spies = [
    vi.spyOn(handles, 'sync').mockImplementation(slowly(sync)),
    vi.spyOn(handles, 'datasync').mockImplementation(slowly(datasync)),
    vi.spyOn(handles, 'truncate').mockImplementation(async function (this: FileHandle, size) {
      syncedBytes.delete(inodeOf(this))
      return truncate.call(this, size)
    }),
    vi.spyOn(handles, 'writev').mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
      syncedBytes.delete(inodeOf(this))
      return Reflect.apply(writev, this, args)
    } as never),
    ...(['link', 'rename'] as const).map((name) => {
      const real = fs.promises[name]
      return vi.spyOn(fs.promises, name).mockImplementation(async (from: PathLike, to: PathLike) => {
        if (existsSync(from) && !syncedBytes.has(statSync(from).ino)) namedTooEarly.push(String(to))
        return real(from, to)
      })
    }),
  ]
  syncBuiltinESMExports()
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore()
    syncBuiltinESMExports()
  })

  const hasBytes = (path: string) => syncedBytes.has(statSync(path).ino)
  return {
    hasBytes,
    namedTooEarly,
    syncedFolders,
    survives(path, root) {
      if (!hasBytes(path)) return false
      for (let at = path; at !== root; at = dirname(at))
        if (syncedNames.get(dirname(at))?.get(basename(at)) !== statSync(at).ino) return false
      return true
    },
  }
}
