import type { StatsFs } from 'node:fs'
import { open, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { about, codeOf, type Finding } from './finding.ts'
import { explainFolder } from './folder.ts'

const report = about('folder')
const GiB = 1024 ** 3
// The magic number of tmpfs in statfs(2).
const tmpfs = 0x01021994

/** Tests whether `folder`, which is DATA_DIR or below it, can hold files; where it does not exist, `parent` in its place. */
export async function* probeFolder(parent: string, folder = parent): AsyncGenerator<Finding> {
  let tested = folder
  try {
    // Creates no folder: below the mount point of a volume that is not mounted it would hide the problem.
    if (!(await doesExist(folder))) tested = parent
    if (!(await doesExist(tested))) {
      yield report.warning(
        `${tested} does not exist`,
        'The first start of a server creates it. If it held files before, mount its volume first.',
      )
      return
    }
    const probe = join(tested, `.landfall-doctor-${process.pid}`)
    const file = await open(probe, 'wx')
    try {
      await file.writeFile('x')
      await file.sync()
    } finally {
      await file.close()
      await unlink(probe)
    }
  } catch (error) {
    const { problem, fix } = await explainFolder(tested, error)
    yield report.error(problem, fix)
    return
  }
  yield report.ok(`${tested} is writable`)
  yield* freeSpaceIn(tested)
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
