import type { StatsFs } from 'node:fs'
import { open, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config.ts'
import { explainFolder } from '../../stores/folder.ts'
import { about, codeOf, type Finding } from './finding.ts'

const report = about('folder')
const GiB = 1024 ** 3
// The magic number of tmpfs in statfs(2).
const tmpfs = 0x01021994

/** Tests whether DATA_DIR can hold the files and the embedded database. No findings when it holds neither. */
export async function* probeFolder({ STORE, DATABASE_URL, DATA_DIR }: Config): AsyncGenerator<Finding> {
  if (STORE !== 'local' && DATABASE_URL !== undefined) return
  let folder = DATA_DIR
  try {
    // Creates no folder: below the mount point of a volume that is not mounted it would hide the problem.
    const files = join(DATA_DIR, 'files')
    if (STORE === 'local' && (await doesExist(files))) folder = files
    else if (!(await doesExist(DATA_DIR))) {
      yield report.warning(
        `${DATA_DIR} does not exist`,
        'The first start of a server creates it. If it held files before, mount its volume first.',
      )
      return
    }
    const probe = join(folder, `.landfall-doctor-${process.pid}`)
    const file = await open(probe, 'wx')
    try {
      await file.writeFile('x')
      await file.sync()
    } finally {
      await file.close()
      await unlink(probe)
    }
  } catch (error) {
    const { problem, fix } = await explainFolder(folder, error)
    yield report.error(problem, fix)
    return
  }
  yield report.ok(`${folder} is writable`)
  yield* freeSpaceIn(folder)
}

/** @throws every error of `stat` but ENOENT */
async function doesExist(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

async function* freeSpaceIn(folder: string): AsyncGenerator<Finding> {
  const found: StatsFs = await statfs(folder)
  const free = found.bavail * found.bsize
  const share = found.blocks > 0 ? found.bavail / found.blocks : 1
  if (found.type === tmpfs)
    yield report.warning(
      `${folder} is in memory and is lost at a restart`,
      'Set DATA_DIR to a folder on a disk or a volume.',
    )
  if (found.files > 0 && found.ffree / found.files < 0.02)
    yield report.warning(
      `the disk of ${folder} has hardly any inodes left`,
      'It can hold hardly any more files: remove small ones.',
    )
  if (free < GiB || share < 0.05)
    yield report.warning(
      `the disk of ${folder} has ${(free / GiB).toFixed(1)} GiB left`,
      'Free some space before it is full.',
    )
  else yield report.ok(`the disk of ${folder} has ${(free / GiB).toFixed(0)} GiB left`)
}
