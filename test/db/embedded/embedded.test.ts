import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { readPid, runsOn } from '../../../src/db/embedded/cluster-state.ts'
import { type EmbeddedServer, openEmbedded } from '../../../src/db/embedded/embedded.ts'
import { passwordFile } from '../../../src/db/embedded/init.ts'
import { startNodeProcess } from '../../support/node-process.ts'
import { until } from '../../support/until.ts'

/** A folder for a cluster. After the test its server is killed and the folder removed. */
async function newFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-embedded-'))
  const folder = join(directory, 'postgres')
  onTestFinished(async () => {
    const pid = await readPid(folder)
    if (pid !== null && (await runsOn(pid, folder))) process.kill(pid, 'SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })
  return folder
}

let template: string

beforeAll(async () => {
  template = await mkdtemp(join(tmpdir(), 'landfall-template-'))
  await (await openEmbedded({ folder: join(template, 'postgres'), onError: () => {} })).close()
  return () => rm(template, { recursive: true, force: true })
})

/** A folder with a copy of a cluster, which saves the second that initdb takes. */
async function folderWithCluster(): Promise<string> {
  const folder = await newFolder()
  execFileSync('cp', ['-a', join(template, 'postgres'), folder])
  return folder
}

async function open(folder: string): Promise<EmbeddedServer> {
  const server = await openEmbedded({ folder, onError: () => {} })
  onTestFinished(() => server.close().catch(() => {}))
  return server
}

async function query(server: EmbeddedServer, text: string): Promise<unknown[]> {
  const client = new pg.Client({ ...server.connection, application_name: 'landfall' })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const isRunning = async (folder: string) => {
  const pid = await readPid(folder)
  return pid !== null && (await runsOn(pid, folder))!
}

describe('the embedded database', () => {
  it('is shared, ends with its last user, and keeps what was committed', async () => {
    const folder = await newFolder()
    const [one, two] = await Promise.all([open(folder), open(folder)])
    await query(one, 'create table mark as select 7 as id')

    await one.close()
    expect(await query(two, 'select id from mark')).toEqual([{ id: 7 }])
    await two.close()

    expect(await isRunning(folder)).toBe(false)
    expect(await query(await open(folder), 'select id from mark')).toEqual([{ id: 7 }])
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect((await stat(join(folder, passwordFile))).mode & 0o777).toBe(0o600)
    expect((await readdir(join(folder, '..'))).sort()).toEqual(['postgres', 'postgres.lock', 'postgres.log'])
  })

  it('is durable, refuses other passwords, and does not listen on the network', async () => {
    const server = await open(await folderWithCluster())

    const rows = await query(
      server,
      `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses') order by name`,
    )

    expect(rows).toEqual([
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'listen_addresses', setting: '' },
      { name: 'synchronous_commit', setting: 'on' },
    ])
    const intruder = new pg.Client({ ...server.connection, password: 'guessed' })
    await expect(intruder.connect()).rejects.toThrow('password authentication failed')
  })

  it('is started again by a process that uses it when it was killed', async () => {
    const folder = await folderWithCluster()
    const server = await open(folder)
    await query(server, 'create table mark as select 7 as id')
    const pid = (await readPid(folder))!

    process.kill(pid, 'SIGKILL')
    await until(async () => (await readPid(folder)) !== pid && (await isRunning(folder)))
    await until(() =>
      query(server, 'select 1').then(
        () => true,
        () => false,
      ),
    )

    expect(await query(server, 'select id from mark')).toEqual([{ id: 7 }])
  })

  it('starts when another program has the pid of a server that was killed', async () => {
    const folder = await folderWithCluster()
    const first = await open(folder)
    await first.close()
    const line = `${process.pid}\n${folder}\n1796015629\n5432\n.\n\n  2264453        20\nready   \n`
    await writeFile(join(folder, 'postmaster.pid'), line)

    const second = await open(folder)

    expect(await query(second, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('ends when all processes that used it were killed', async () => {
    const folder = await folderWithCluster()
    const script = new URL('./hold-database.ts', import.meta.url).pathname
    const user = await startNodeProcess({ script, arguments: [folder, '1'] })
    onTestFinished(() => user.kill())
    expect(await isRunning(folder)).toBe(true)

    await user.kill()
    await until(async () => !(await isRunning(folder)))

    expect(await query(await open(folder), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('keeps running as long as one of the processes that use it lives', async () => {
    const folder = await folderWithCluster()
    const script = new URL('./hold-database.ts', import.meta.url).pathname
    const user = await startNodeProcess({ script, arguments: [folder, '0.1'] })
    onTestFinished(() => user.kill())
    const other = await open(folder)
    const pid = await readPid(folder)

    await user.kill()
    // Far longer than an unused server keeps running.
    await query(other, 'select pg_sleep(1)')

    expect(await readPid(folder)).toBe(pid)
    expect(await query(other, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('works below a path that is longer than a socket address', async () => {
    const folder = join(await newFolder(), 'x'.repeat(120), 'postgres')

    const server = await open(folder)

    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }])
    await server.close()
  })
})

describe('an embedded database that cannot be used', () => {
  it.each<[string, RegExp, (folder: string) => Promise<unknown>]>([
    [
      'another version',
      /holds a database of Postgres 17.*pg_dump/,
      (folder) => writeFile(join(folder, 'PG_VERSION'), '17\n'),
    ],
    ['no version file', /damaged.*PG_VERSION.*backup/, (folder) => rm(join(folder, 'PG_VERSION'))],
    ['no password file', /landfall\.password is missing.*backup/, (folder) => rm(join(folder, passwordFile))],
    ['another password', /refuses the password.*backup/, (folder) => writeFile(join(folder, passwordFile), 'other\n')],
    ['no control file', /does not start.*backup/, (folder) => rm(join(folder, 'global/pg_control'))],
    [
      'a truncated control file',
      /does not start.*backup/,
      (folder) => truncate(join(folder, 'global/pg_control'), 100),
    ],
    ['invalid settings', /does not start.*backup/, (folder) => writeFile(join(folder, 'postgresql.conf'), 'a = = b')],
  ])('with %s is explained in one sentence, and left unchanged', async (_, sentence, damage) => {
    const folder = await folderWithCluster()
    await damage(folder)
    const before = await listing(folder)

    const error = await openEmbedded({ folder, onError: () => {} }).catch((thrown: Error) => thrown)

    expect(error).toMatchObject({ name: 'EmbeddedDatabaseError', code: 'EMBEDDED_DATABASE' })
    expect((error as Error).message).toMatch(sentence)
    expect((error as Error).message).not.toMatch(/\n/)
    expect(await isRunning(folder)).toBe(false)
    expect(await listing(folder)).toEqual(before)
  })

  it('is not created where a file is in the way', async () => {
    const folder = await newFolder()
    await writeFile(folder, 'a file')

    await expect(openEmbedded({ folder: join(folder, 'postgres'), onError: () => {} })).rejects.toThrow(
      /file is where a folder should be.*DATA_DIR/,
    )
  })

  it.skipIf(process.getuid?.() !== 0)(
    'is not created on a full disk (needs root, for a small file system)',
    async () => {
      const folder = await newFolder()
      const disk = join(folder, '..', 'disk')
      await mkdir(disk)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', disk])
      onTestFinished(() => void execFileSync('umount', ['-l', disk]))
      await chmod(disk, 0o700)

      await expect(openEmbedded({ folder: join(disk, 'postgres'), onError: () => {} })).rejects.toThrow(
        /disk is full; free some/,
      )

      expect(await readdir(disk)).toEqual(['postgres.lock'])
    },
  )
})

/** Every file with its content, except the files that Postgres writes when it starts and ends. */
async function listing(folder: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(
    files
      .sort()
      .filter(
        (path) => !/postmaster\.(opts|pid)$|pg_internal\.init$|PGSQL|pg_wal|pg_control|pg_stat|pg_xact/.test(path),
      )
      .map(async (path) => [path, (await readFile(path)).toString('base64')] as [string, string]),
  )
}
