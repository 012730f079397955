/*
 * Ensures that files are written to the volume on which the store's marker was found. Between the check of the marker and the opening
 * of a file the volume may be unmounted, and below its mount point there may be folders of the same names.
 */
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { NoSuchUpload } from '../core/ports/object-store.ts'
import { type MakingFolders, nullIfMissing, openNew } from './files.ts'

/** The staging folder, through which every file is written, and its device and inode when the marker was found. */
export interface Home {
  /** See `ObjectStore.place`. */
  place(): Promise<string | null>
  /** See `ObjectStore.stayAt`. */
  stayAt(place: string): void
  /** Opens a new file for writing and creates the folders above it. @throws ENOENT when it is on another volume; it is removed then */
  openNew(path: string): Promise<FileHandle>
  /** Opens a staging file for writing. @throws NoSuchUpload; ENOENT when it is on another volume */
  openStaged(path: string): Promise<FileHandle>
}

/** The home of a store that stages its files in `folder`. */
export function createHome(folder: string, making: MakingFolders): Home {
  let home: string | null = null

  async function place(): Promise<string | null> {
    const found = await stat(folder).catch(nullIfMissing)
    return found && `${found.dev}:${found.ino}`
  }

  /** Also compares the file's own device: the volume may have been unmounted when the file was opened and be mounted again now. */
  async function assertAtHome(file: FileHandle): Promise<void> {
    if (home === null) return
    const [now, { dev }] = await Promise.all([place(), file.stat()])
    if (now !== home || !home.startsWith(`${dev}:`))
      throw Object.assign(new Error('the folder of the store is on another volume now'), { code: 'ENOENT' })
  }

  return {
    place,
    stayAt(place) {
      home = place
    },
    async openNew(path) {
      const file = await openNew(path, making)
      try {
        await assertAtHome(file)
        return file
      } catch (error) {
        await file.close()
        await unlink(path).catch(nullIfMissing)
        throw error
      }
    },
    async openStaged(path) {
      const file = await open(path, 'r+').catch(nullIfMissing)
      if (!file) throw new NoSuchUpload('the staging file does not exist')
      try {
        await assertAtHome(file)
        return file
      } catch (error) {
        await file.close()
        throw error
      }
    },
  }
}
