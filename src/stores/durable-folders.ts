/*
 * Folders, and when the names in them are on the disk: the name of a file is once its folder was synced, and the name of a folder once the
 * folder above it was. `removeEmpty` may remove a folder at any time, so every operation that needs one creates it when it is missing.
 */
import { mkdir, open, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { shareRuns } from './shared-runs.ts'

export interface DurableFolders {
  /** Creates the folder and those above it. @throws ENOENT when the volume is not mounted */
  make(folder: string): Promise<void>
  /** Resolves once the names that are in the folder now, and its own name, are on the disk. */
  sync(folder: string): Promise<void>
  /** Removes the folder and those above it while they are empty. */
  removeEmpty(folder: string): Promise<void>
}

// A server that writes into more folders than this syncs some of them once more; the paths take some megabytes.
const maxKnown = 10_000

/**
 * The folders below `root`.
 * @param anchor must exist: without it the volume is unmounted, and no folder is created at its mount point
 * @param fsync false: `sync` does nothing
 */
export function durableFolders(root: string, { anchor, fsync }: { anchor: string; fsync: boolean }): DurableFolders {
  /** Folders whose names are on the disk. Another process may have created a folder and not have synced it yet. */
  const known = new Set<string>([root])
  /** What the calls of `sync` that have not returned yet are about to add. */
  const syncing = new Set<Set<string>>()
  const syncOne = shareRuns(syncPath)
  const forget = (folder: string) => [known, ...syncing].forEach((folders) => void folders.delete(folder))

  return {
    async make(folder) {
      await stat(anchor)
      const made = await mkdir(folder, { recursive: true })
      if (made === undefined) return
      for (let path = folder; path.length >= made.length; path = dirname(path)) forget(path)
    },
    async sync(folder) {
      if (!fsync) return
      const unsynced = new Set<string>()
      for (let path = folder; !known.has(path); path = dirname(path)) unsynced.add(path)
      syncing.add(unsynced)
      try {
        await Promise.all([folder, ...[...unsynced].map((path) => dirname(path))].map(syncOne))
      } finally {
        syncing.delete(unsynced)
      }
      if (known.size > maxKnown) known.clear()
      for (const path of [root, ...unsynced]) known.add(path)
    },
    async removeEmpty(folder) {
      for (let path = folder; path.length > root.length; path = dirname(path)) {
        try {
          await rmdir(path)
        } catch {
          return
        }
        forget(path)
      }
    },
  }
}

/** Writes the names in a folder, or the bytes of a file, to the disk. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
