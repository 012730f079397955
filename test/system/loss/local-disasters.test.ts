import fs, { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ada } from '../../support/open-engine.ts'
import { type Environment, expectNoLoss, openEnvironment } from './disaster.ts'

it.each(['EIO', 'EACCES', 'ESTALE', 'EROFS', 'ENOSPC'])(
  'with a file system that fails with %s, nothing is lost',
  async (code) => {
    const { environment, root } = await openLocal()

    const repair = breakFiles(root, code, code === 'EROFS' || code === 'ENOSPC' ? isWrite : () => true)

    await expectNoLoss(environment, {
      reason: new RegExp(`the file system returned ${code}`),
      repair: async () => repair(),
      contents: () => contentsOf(root, environment),
      // A store that can be read is known to be the right one: uploads expire.
      ...(['EROFS', 'ENOSPC'].includes(code) && { days: 1 }),
    })
  },
)

it('with an emptied folder, requests are answered with 503 until it is restored', async () => {
  const { environment, root, directory } = await openLocal()
  const moved = join(directory, 'moved')

  await rename(root, moved)
  await mkdir(root)

  await expectNoLoss(environment, {
    reason: /has no marker/,
    async repair() {
      expect(await readdir(root)).toEqual([])
      await rm(root, { recursive: true })
      await rename(moved, root)
    },
    contents: () => contentsOf(root, environment),
  })
})

it('with a folder that has only its marker, the first report of a loss ends nothing', async () => {
  const { environment, root, directory } = await openLocal()
  const moved = join(directory, 'moved')
  await rename(root, moved)
  await mkdir(join(root, '.landfall/staging'), { recursive: true })
  await cp(join(moved, '.landfall/store.json'), join(root, '.landfall/store.json'))

  await environment.runJobs()
  expect((await environment.app.engine.get(ada, environment.open.id)).state).toBe('receiving')
  expect((await environment.app.engine.get(ada, environment.finished.id)).state).toBe('completed')

  await rm(root, { recursive: true })
  await rename(moved, root)
  await environment.sendRest()
  expect(await contentsOf(root, environment)).toEqual({
    finished: environment.finished.bytes,
    open: environment.open.bytes,
  })
})

it('with an older copy of the folder, requests are answered with 503', async () => {
  const { environment, root, directory } = await openLocal()
  const [copy, right] = [join(directory, 'copy'), join(directory, 'right')]
  await cp(root, copy, { recursive: true })
  for (let times = 0; times < 3; times += 1) await environment.advance()

  await rename(root, right)
  await rename(copy, root)

  await expectNoLoss(environment, {
    reason: /older than its database.*put the right one back/,
    async repair() {
      await rm(root, { recursive: true })
      await rename(right, root)
    },
    contents: () => contentsOf(root, environment),
  })
})

it('a server started with another folder reports why it waits, and writes nothing', async () => {
  const { environment, root, directory } = await openLocal()
  const elsewhere = join(directory, 'elsewhere')
  await mkdir(elsewhere)

  await expect(environment.restart({ DATA_DIR: elsewhere })).rejects.toThrow(/has no marker/)
  expect(await readdir(elsewhere)).toEqual([])

  await environment.restart()
  await environment.sendRest()
  expect(await contentsOf(root, environment)).toEqual({
    finished: environment.finished.bytes,
    open: environment.open.bytes,
  })
})

async function openLocal() {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-disaster-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const environment = await openEnvironment({ DATA_DIR: directory, LOCAL_FSYNC: 'false' })
  return { environment, directory, root: join(directory, 'files') }
}

async function contentsOf(root: string, { app, finished, open }: Environment) {
  const { key } = await app.engine.get(ada, open.id)
  return { finished: await readFile(join(root, finished.key)), open: await readFile(join(root, key)) }
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

/** Makes the file system calls below `root` for which `isBroken` fail with `code`. Returns a function that repairs them. */
function breakFiles(root: string, code: string, isBroken: (call: string, flags: unknown) => boolean): () => void {
  const library = fs as unknown as Record<string, Call>
  const originals = new Map(calls.map((call) => [call, library[call]!]))
  for (const [call, work] of originals)
    library[call] = (path, ...rest) =>
      String(path).startsWith(root) && isBroken(call, rest[0])
        ? Promise.reject(Object.assign(new Error(`${code}: ${call} '${path}'`), { code }))
        : work(path, ...rest)
  syncBuiltinESMExports()
  const repair = () => {
    for (const [call, work] of originals) library[call] = work
    syncBuiltinESMExports()
  }
  onTestFinished(repair)
  return repair
}
