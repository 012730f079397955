import { mkdtemp, open, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Another name of a folder, short enough for the address of a socket in it. */
export interface ShortPath {
  path: string
  close(): Promise<void>
}

// An address has 104 bytes on macOS and 108 on Linux, of which `/.s.PGSQL.5432` and the end need 15.
const longest = 104 - 15

/** Names `folder`, which exists, in a way that fits into the address of a Unix socket. The name is for this process alone. */
export async function shortPathOf(folder: string): Promise<ShortPath> {
  if (Buffer.byteLength(folder) <= longest) return { path: folder, close: async () => {} }
  if (process.platform === 'linux') {
    const handle = await open(folder)
    return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() }
  }
  const place = await mkdtemp(join(tmpdir(), 'landfall-'))
  await symlink(folder, join(place, 'd'))
  return { path: join(place, 'd'), close: () => rm(place, { recursive: true, force: true }) }
}
