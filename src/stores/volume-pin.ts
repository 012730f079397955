/*
 * Ensures that files are written to the volume on which the store's marker was found. Between the check of the marker and the opening
 * of a file the volume may be unmounted, and below its mount point there may be folders of the same names.
 */
import type { Stats } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { nullIfMissing } from './files.ts'
import { shareRuns } from './shared-runs.ts'

/** The staging folder, through which every file is written, and its device and inode when the marker was found. */
export interface VolumePin {
  /** See `ObjectStore.volumeId`. */
  volumeId(): Promise<string | null>
  /** See `ObjectStore.pinVolume`. */
  pin(volumeId: string): void
  /** Called between the opening of a file and the moment at which its bytes count. @throws ENOENT when it is on another volume */
  confirm(file: FileHandle): Promise<Stats>
}

/** For a store that stages its files in `folder`; pinned to no volume at first. */
export function createVolumePin(folder: string): VolumePin {
  let pinned: string | null = null
  const findVolume = shareRuns(async () => {
    const found = await stat(folder).catch(nullIfMissing)
    return found && `${found.dev}:${found.ino}`
  })
  const volumeId = () => findVolume('')

  return {
    volumeId,
    pin(id) {
      pinned = id
    },
    async confirm(file) {
      const [now, stats] = await Promise.all([pinned === null ? null : volumeId(), file.stat()])
      // Also compares the file's own device: the volume may have been unmounted when the file was opened and be mounted again now.
      if (pinned !== null && (now !== pinned || !pinned.startsWith(`${stats.dev}:`)))
        throw Object.assign(new Error('the folder of the store is on another volume now'), { code: 'ENOENT' })
      return stats
    },
  }
}
