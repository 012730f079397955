/*
 * Ensures that files are written to the volume on which the store's marker was found. Between the check of the marker and the opening
 * of a file the volume may be unmounted, and below its mount point there may be folders of the same names.
 */
import type { Stats } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { nullIfMissing } from './files.ts'
import { shareRuns } from './shared-runs.ts'

/** The staging folder, through which every file is written, and its device and inode when the marker was found. */
export interface Home {
  /** See `ObjectStore.place`. */
  place(): Promise<string | null>
  /** See `ObjectStore.stayAt`. */
  stayAt(place: string): void
  /** Called between the opening of a file and the moment at which its bytes count. @throws ENOENT when it is on another volume */
  confirm(file: FileHandle): Promise<Stats>
}

/** The home of a store that stages its files in `folder`. */
export function createHome(folder: string): Home {
  let home: string | null = null
  const findPlace = shareRuns(async () => {
    const found = await stat(folder).catch(nullIfMissing)
    return found && `${found.dev}:${found.ino}`
  })
  const place = () => findPlace('')

  return {
    place,
    stayAt(place) {
      home = place
    },
    async confirm(file) {
      const [now, stats] = await Promise.all([home === null ? null : place(), file.stat()])
      // Also compares the file's own device: the volume may have been unmounted when the file was opened and be mounted again now.
      if (home !== null && (now !== home || !home.startsWith(`${stats.dev}:`)))
        throw Object.assign(new Error('the folder of the store is on another volume now'), { code: 'ENOENT' })
      return stats
    },
  }
}
