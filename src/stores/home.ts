/*
 * Whether a file is written where the store's marker was seen. Between a look for the marker and the opening of a file the volume may
 * have gone, and below its mount point there may be a folder of the same names.
 */
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { NoSuchUpload } from '../core/ports.ts'
import { type MakingFolders, nullIfMissing, openNew } from './files.ts'

/** The folder that everything is written through, and where it was when the marker was seen. */
export interface Home {
  /** See `ObjectStore.place`. */
  place(): Promise<string | null>
  /** See `ObjectStore.stayAt`. */
  stayAt(place: string): void
  /** A new file for writing; the folders above it are made. @throws ENOENT when it is elsewhere: nothing is left of it */
  openNew(path: string): Promise<FileHandle>
  /** A staging file for writing. @throws HandleLost; ENOENT when it is elsewhere */
  openStaged(path: string): Promise<FileHandle>
}

/** The home of a store that stages its files in `folder`. */
export function createHome(folder: string, making: MakingFolders): Home {
  let home: string | null = null

  async function place(): Promise<string | null> {
    const found = await stat(folder).catch(nullIfMissing)
    return found && `${found.dev}:${found.ino}`
  }

  /** By the file's own device, so that a volume which is back in the meantime does not hide where the file is. */
  async function refuseElsewhere(file: FileHandle): Promise<void> {
    if (home === null) return
    const [now, { dev }] = await Promise.all([place(), file.stat()])
    if (now !== home || !home.startsWith(`${dev}:`))
      throw Object.assign(new Error('the folder of the store is another one now'), { code: 'ENOENT' })
  }

  return {
    place,
    stayAt(known) {
      home = known
    },
    async openNew(path) {
      const file = await openNew(path, making)
      try {
        await refuseElsewhere(file)
        return file
      } catch (error) {
        await file.close()
        await unlink(path).catch(nullIfMissing)
        throw error
      }
    },
    async openStaged(path) {
      const file = await open(path, 'r+').catch(nullIfMissing)
      if (!file) throw new NoSuchUpload('the staging file is not there')
      try {
        await refuseElsewhere(file)
        return file
      } catch (error) {
        await file.close()
        throw error
      }
    },
  }
}
