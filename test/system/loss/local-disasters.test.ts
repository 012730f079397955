import fs, { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ada } from '../../support/open-engine.ts'
import { type Ground, liveThrough, openGround } from './disaster.ts'

it.each(['EIO', 'EACCES', 'ESTALE', 'EROFS', 'ENOSPC'])(
  'a file system that says %s loses nothing, is not ready, and goes on with every byte',
  async (code) => {
    const { ground, root } = await openLocal()

    const heal = breakFiles(root, code, code === 'EROFS' || code === 'ENOSPC' ? isWrite : () => true)

    await liveThrough(ground, {
      reason: new RegExp(`the file system says ${code}`),
      heal: async () => heal(),
      contents: () => contentsOf(root, ground),
      // A store that can be read is the right one, and time goes on.
      ...(['EROFS', 'ENOSPC'].includes(code) && { days: 1 }),
    })
  },
)

it('a folder that was emptied, marker and all, is answered with 503 until it is back', async () => {
  const { ground, root, directory } = await openLocal()
  const away = join(directory, 'away')

  await rename(root, away)
  await mkdir(root)

  await liveThrough(ground, {
    reason: /has no marker/,
    async heal() {
      expect(await readdir(root)).toEqual([])
      await rm(root, { recursive: true })
      await rename(away, root)
    },
    contents: () => contentsOf(root, ground),
  })
})

it('a folder of which nothing but the marker is left loses nothing on the first look', async () => {
  const { ground, root, directory } = await openLocal()
  const away = join(directory, 'away')
  await rename(root, away)
  await mkdir(join(root, '.landfall/staging'), { recursive: true })
  await cp(join(away, '.landfall/store.json'), join(root, '.landfall/store.json'))

  await ground.runJobs()
  expect((await ground.app.engine.get(ada, ground.going.id)).state).toBe('receiving')
  expect((await ground.app.engine.get(ada, ground.finished.id)).state).toBe('completed')

  await rm(root, { recursive: true })
  await rename(away, root)
  await ground.bringHome()
  expect(await contentsOf(root, ground)).toEqual({ finished: ground.finished.bytes, going: ground.going.bytes })
})

it('an older copy of the folder is answered with 503 until the right one is back', async () => {
  const { ground, root, directory } = await openLocal()
  const [copy, right] = [join(directory, 'copy'), join(directory, 'right')]
  await cp(root, copy, { recursive: true })
  for (let times = 0; times < 3; times += 1) await ground.count()

  await rename(root, right)
  await rename(copy, root)

  await liveThrough(ground, {
    reason: /older than its database.*put the right one back/,
    async heal() {
      await rm(root, { recursive: true })
      await rename(right, root)
    },
    contents: () => contentsOf(root, ground),
  })
})

it('a server that is started with another folder waits, says why and writes nothing there', async () => {
  const { ground, root, directory } = await openLocal()
  const elsewhere = join(directory, 'elsewhere')
  await mkdir(elsewhere)

  await expect(ground.restart({ DATA_DIR: elsewhere })).rejects.toThrow(/has no marker/)
  expect(await readdir(elsewhere)).toEqual([])

  await ground.restart()
  await ground.bringHome()
  expect(await contentsOf(root, ground)).toEqual({ finished: ground.finished.bytes, going: ground.going.bytes })
})

async function openLocal() {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-disaster-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const ground = await openGround({ DATA_DIR: directory, LOCAL_FSYNC: 'false' })
  return { ground, directory, root: join(directory, 'files') }
}

async function contentsOf(root: string, { app, finished, going }: Ground) {
  const { key } = await app.engine.get(ada, going.id)
  return { finished: await readFile(join(root, finished.key)), going: await readFile(join(root, key)) }
}

type Call = (path: unknown, ...rest: unknown[]) => Promise<unknown>
const calls = [
  'open',
  'stat',
  'statfs',
  'opendir',
  'readdir',
  'rename',
  'link',
  'unlink',
  'mkdir',
  'rm',
  'writeFile',
] as const

function isWrite(call: string, flags: unknown): boolean {
  if (call === 'open') return typeof flags === 'string' && flags !== 'r'
  return ['rename', 'link', 'unlink', 'mkdir', 'rm', 'writeFile'].includes(call)
}

/** From now on the calls of the file system below `root` for which `isBroken` fail with `code`; what is returned mends it. */
function breakFiles(root: string, code: string, isBroken: (call: string, flags: unknown) => boolean): () => void {
  const library = fs as unknown as Record<string, Call>
  const whole = new Map(calls.map((call) => [call, library[call]!]))
  for (const [call, work] of whole)
    library[call] = (path, ...rest) =>
      String(path).startsWith(root) && isBroken(call, rest[0])
        ? Promise.reject(Object.assign(new Error(`${code}: ${call} '${path}'`), { code }))
        : work(path, ...rest)
  syncBuiltinESMExports()
  const mend = () => {
    for (const [call, work] of whole) library[call] = work
    syncBuiltinESMExports()
  }
  onTestFinished(mend)
  return mend
}
