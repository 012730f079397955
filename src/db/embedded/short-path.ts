import { mkdtemp, open, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A path of a folder that is short enough for the address of a socket in it. */
export interface ShortPath {
  path: string
  close(): Promise<void>
}

// The address of a Unix socket has 104 bytes on macOS and 108 on Linux; `/.s.PGSQL.5432` and the final NUL take 15.
const maxBytes = 104 - 15

/** A path of the existing `folder` that fits into the address of a Unix socket. It is valid in this process only. */
export async function shortPathOf(folder: string): Promise<ShortPath> {
  if (Buffer.byteLength(folder) <= maxBytes) return { path: folder, close: async () => {} }
  if (process.platform === 'linux') {
    const handle = await open(folder)
    return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() }
  }
  const temporary = await mkdtemp(join(tmpdir(), 'landfall-'))
  await symlink(folder, join(temporary, 'd'))
  return { path: join(temporary, 'd'), close: () => rm(temporary, { recursive: true, force: true }) }
}
