import { execFile, execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { printFinding } from '../../src/cli/doctor/doctor.ts'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { errorsOf, examined, otherServer } from '../support/examined.ts'
import { freePort } from '../support/free-port.ts'
import { freshDatabase } from '../support/postgres.ts'
import { startS3StandIn } from '../support/s3-stand-in.ts'

const run = promisify(execFile)
// As it is shipped; the server of the set-up was built with it.
const command = resolve('dist/landfall.js')
const set = examined()

async function ask(statement: string, url = set.database.url): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

/** A role of its own that may do what `rights` say; its URL. */
async function roleWith(rights: (role: string) => string): Promise<string> {
  const role = `doctor_${randomUUID().slice(0, 8)}`
  await ask(`create role ${role} login password 'secret'; ${rights(role)}`)
  onTestFinished(async () => void (await ask(`drop owned by ${role}; drop role ${role}`)))
  const url = new URL(set.database.url)
  url.username = role
  url.password = 'secret'
  return url.href
}

describe('a sound set-up', () => {
  it('is found sound, and nothing is left in it', async () => {
    const found = await set.examineWith({ PUBLIC_URL: set.server.url })

    expect(found.filter(({ status }) => status !== 'ok').map(printFinding)).toEqual([])
    expect(new Set(found.map((finding) => finding.about))).toEqual(
      new Set(['configuration', 'database', 'bucket', 'address', 'proxy']),
    )
    const left = set.s3.objects().filter(({ key }) => !/^\.landfall\/(store\.json|probe)$/.test(key))
    expect([left, set.s3.multiparts()]).toEqual([[], []])
  })

  it('is found sound by the command as well, which then ends with 0', async () => {
    const { stdout } = await run(process.execPath, [command, 'doctor'], {
      env: { ...set.settings, PUBLIC_URL: set.server.url, PATH: process.env.PATH },
    })

    expect(stdout).toMatch(/^ok +bucket +the bucket uploads is there/m)
    expect(stdout).not.toContain('FAULT')
  })
})

describe('the command', () => {
  it('ends with 1 when something is broken, and tells machines what', async () => {
    const env = { ...set.settings, S3_BUCKET: 'nowhere', PATH: process.env.PATH }

    const ended = await run(process.execPath, [command, 'doctor', '--json'], { env }).catch((error) => error)

    expect(ended.code).toBe(1)
    const { isSound, findings } = JSON.parse(ended.stdout)
    expect(isSound).toBe(false)
    expect(findings).toContainEqual({
      about: 'bucket',
      status: 'error',
      message: 'the bucket nowhere does not exist',
      fix: expect.stringContaining('Create the bucket'),
    })
  })
})

describe('of the machine', () => {
  it('names a clock that is an hour ahead', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
    // The S3 server runs in this process, and its clock is right.
    set.s3.setClock(-3_600_000)
    onTestFinished(() => {
      vi.useRealTimers()
      set.s3.setClock(0)
    })

    const findings = await set.examineWith()

    expect(findings).toContainEqual(
      expect.objectContaining({
        about: 'bucket',
        status: 'warning',
        message: expect.stringMatching(/clocks .* differ by 60 minutes/),
      }),
    )
    expect(findings).toContainEqual(
      expect.objectContaining({
        about: 'database',
        status: 'warning',
        message: expect.stringMatching(/differ by 36\d\d seconds/),
      }),
    )
  })
})

describe('of the configuration', () => {
  it('every problem is named', async () => {
    const found = await set.examineWith({ JWT_SECRET: undefined, PART_SIZE: 'large' })

    expect(errorsOf(found).map(({ message }) => message)).toEqual([
      'JWT_SECRET: is not set',
      'PART_SIZE: expected a size such as 8MiB',
    ])
  })
})

describe('of the bucket', () => {
  it('a wrong key is named', async () => {
    const found = await set.examineWith({ S3_ACCESS_KEY_ID: 'nobody' })

    set.expectOnly(found, 'bucket', /refuses these credentials/, /S3_ACCESS_KEY_ID/)
  })

  it('a wrong secret is named', async () => {
    const found = await set.examineWith({ S3_SECRET_ACCESS_KEY: 'nonsense' })

    set.expectOnly(found, 'bucket', /refuses these credentials/, /S3_SECRET_ACCESS_KEY/)
  })

  it('a bucket that is not there is named', async () => {
    set.expectOnly(
      await set.examineWith({ S3_BUCKET: 'nowhere' }),
      'bucket',
      /nowhere does not exist/,
      /Create the bucket/,
    )
  })

  it('a server that does not answer is named', { timeout: 60_000 }, async () => {
    const found = await set.examineWith({ S3_ENDPOINT: `http://127.0.0.1:${await freePort()}` })

    set.expectOnly(found, 'bucket', /cannot be reached/, /S3_ENDPOINT/)
  })

  it.each([
    ['AbortMultipartUpload', /abort a multipart upload \(403 AccessDenied\)/, /s3:AbortMultipartUpload/],
    ['ListMultipartUploads', /list multipart uploads/, /s3:ListBucketMultipartUploads/],
    ['ListObjectsV2', /list objects/, /s3:ListBucket/],
    ['PutObject', /does not let this key use the bucket uploads \(PutObject needs s3:PutObject\)/, /s3:PutObject/],
    ['GetObject', /read it back/, /s3:GetObject/],
    ['DeleteObjects', /remove objects/, /s3:DeleteObject/],
  ])('a key that may not %s is named', async (operation, message, fix) => {
    set.s3.faults.next(operation, { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    onTestFinished(async () => {
      set.s3.faults.clear()
      await set.s3.abortMultiparts()
      for (const { key } of set.s3.objects()) await set.s3.removeObject(key)
    })

    const found = await set.examineWith()

    expect(errorsOf(found)).toContainEqual({
      about: 'bucket',
      status: 'error',
      message: expect.stringMatching(message),
      fix: expect.stringMatching(fix),
    })
  })

  it('an address at which nobody gets objects is named', async () => {
    const found = await set.examineWith({ S3_PUBLIC_URL: `${set.s3.endpoint}/${set.s3.bucket}` })

    expect(found).toContainEqual(
      expect.objectContaining({
        status: 'warning',
        message: expect.stringMatching(/are answered with 403/),
        // Never that a private bucket be made public.
        fix: expect.stringMatching(/^Take S3_PUBLIC_URL away if the bucket is private/),
      }),
    )
  })

  it('a key that may not list the bucket is told apart from a wrong one', async () => {
    set.s3.faults.next('HeadBucket', { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    set.s3.faults.next('ListObjectsV2', { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    onTestFinished(() => set.s3.faults.clear())

    const found = await set.examineWith()

    set.expectOnly(found, 'bucket', /list objects \(403 AccessDenied\)/, /s3:ListBucket; docs\/buckets.md/)
  })

  it('a bucket that demands checksums is named with the setting that sends them', async () => {
    const locked = await startS3StandIn({ locked: true })
    onTestFinished(() => locked.close())

    const found = await set.examineWith({ S3_ENDPOINT: locked.endpoint })
    const healed = await set.examineWith({ S3_ENDPOINT: locked.endpoint, S3_CONTENT_MD5: 'true' })

    set.expectOnly(found, 'bucket', /demands checksums/, /Set S3_CONTENT_MD5=true/)
    expect(errorsOf(healed)).toEqual([])
  })

  it('a bucket that keeps old versions is named, with the rule that removes them', async () => {
    const versioned = await startS3StandIn({ versioned: true })
    onTestFinished(() => versioned.close())

    const found = await set.examineWith({ S3_ENDPOINT: versioned.endpoint })

    expect(found).toContainEqual({
      about: 'bucket',
      status: 'warning',
      message: expect.stringContaining('keeps old versions'),
      fix: expect.stringContaining('expires noncurrent versions below .landfall/'),
    })
  })

  it('whether parts must have one size is told', async () => {
    const lax = await startS3StandIn()
    onTestFinished(() => lax.close())
    const said = (found: Finding[]) => found.filter(({ about }) => about === 'bucket').map(({ message }) => message)

    expect(said(await set.examineWith())).toContainEqual(expect.stringContaining('parts must have one size'))
    expect(said(await set.examineWith({ S3_ENDPOINT: lax.endpoint }))).toContainEqual(
      expect.stringContaining('parts may differ in size'),
    )
  })
})

describe('of the database', () => {
  it('one that does not answer is named', async () => {
    const found = await set.examineWith({ DATABASE_URL: `postgres://x:y@127.0.0.1:${await freePort()}/landfall` })

    set.expectOnly(found, 'database', /cannot be reached/, /host and port/)
  })

  it('one that is not there is named', async () => {
    const url = new URL(set.database.url)
    url.pathname = '/nowhere'

    set.expectOnly(await set.examineWith({ DATABASE_URL: url.href }), 'database', /no such database/, /Create it/)
  })

  it('tables that are not there yet are named', async () => {
    const empty = await freshDatabase()
    onTestFinished(() => empty.dispose())

    set.expectOnly(
      await set.examineWith({ DATABASE_URL: empty.url }),
      'database',
      /tables are not there/,
      /landfall migrate/,
    )
  })

  it('tables of a newer Landfall are named', async () => {
    await ask(`insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)`)
    onTestFinished(async () => void (await ask(`delete from drizzle.__drizzle_migrations where hash = 'newer'`)))

    set.expectOnly(await set.examineWith(), 'database', /newer Landfall/, /that version/)
  })

  it('a role that may only read is named', async () => {
    const url = await roleWith(
      (role) => `alter role ${role} set default_transaction_read_only = on;
        grant usage on schema drizzle to ${role}; grant select on all tables in schema drizzle, public to ${role};
        grant insert, update, delete on all tables in schema public to ${role}`,
    )

    const found = await set.examineWith({ DATABASE_URL: url })

    set.expectOnly(found, 'database', /are read-only/, /RESET default_transaction_read_only/)
  })

  it('a role that lacks a right is named with it and every table it is lacking on', async () => {
    const url = await roleWith(
      (role) => `grant usage on schema drizzle to ${role};
        grant select on all tables in schema drizzle, public to ${role};
        grant insert, update on all tables in schema public to ${role}`,
    )

    const found = await set.examineWith({ DATABASE_URL: url })

    set.expectOnly(found, 'database', /lacks rights: DELETE /, /GRANT .*DELETE/)
    const named = JSON.stringify(found).match(/DELETE (\w+)(?=[,"])/g)
    const tables = await ask(`select tablename from pg_tables where schemaname = 'public'`)
    expect(named!.sort()).toEqual(tables.map(({ tablename }) => `DELETE ${tablename}`).sort())
  })

  it('a role that may not read the list of migrations is named', async () => {
    const url = await roleWith(
      (role) => `grant usage on schema drizzle to ${role};
        grant select, insert, update, delete on all tables in schema public to ${role}`,
    )

    const found = await set.examineWith({ DATABASE_URL: url })

    set.expectOnly(found, 'database', /may not read the list of migrations/, /GRANT SELECT ON drizzle\./)
  })
})

describe('of the folder', () => {
  const local = { STORE: 'local' }

  it('one that belongs to somebody else is named with its owner', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    await chmod(folder, 0o555)
    // Root may write anywhere.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid!(65_534)
    onTestFinished(async () => {
      if (isRoot) process.seteuid!(0)
      await rm(folder, { recursive: true })
    })

    const found = await set.examineWith({ ...local, DATA_DIR: folder })

    set.expectOnly(
      found,
      'folder',
      /cannot be written to \(EACCES/,
      new RegExp(`${folder} belongs to user ${isRoot ? 0 : process.getuid?.()}`),
    )
  })

  it('a file in its place is named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'file'), '')

    const found = await set.examineWith({ ...local, DATA_DIR: join(folder, 'file') })

    set.expectOnly(found, 'folder', /cannot be written to/, /set DATA_DIR to a folder/)
  })

  it('one that is not there is a warning and is not made: its volume may not be mounted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))

    const found = await set.examineWith({ ...local, DATA_DIR: join(folder, 'data') })

    expect(found).toContainEqual(
      expect.objectContaining({ about: 'folder', status: 'warning', fix: expect.stringContaining('mount') }),
    )
    expect(await readdir(folder)).toEqual([])
  })

  it('a good one is found good, and left as it was', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))

    const found = await set.examineWith({ ...local, DATA_DIR: folder })

    expect(errorsOf(found)).toEqual([])
    expect(found).toContainEqual({ about: 'folder', status: 'ok', message: `${folder} can be written to` })
  })
})

describe('of the address', () => {
  it('one at which something else answers is named', async () => {
    const url = await otherServer((_request, response) => response.end('<h1>It works!</h1>'))

    set.expectOnly(
      await set.examineWith({ PUBLIC_URL: url }),
      'address',
      /something else answers/,
      /point the proxy to HOST and PORT/,
    )
  })

  it('one at which nobody listens is named', async () => {
    const found = await set.examineWith({ PUBLIC_URL: `http://127.0.0.1:${await freePort()}` })

    set.expectOnly(found, 'address', /cannot be reached/, /Nothing listens there/)
  })

  it('that of another deployment is named', async () => {
    const found = await set.examineWith({
      PUBLIC_URL: set.server.url,
      JWT_SECRET: 'another secret that is long enough too',
    })

    set.expectOnly(found, 'address', /does not take this configuration’s tokens \(401\)/, /another deployment/)
  })

  it('one that sends on to another is named', async () => {
    const url = await otherServer((_request, response) =>
      response.writeHead(301, { location: `${set.server.url}/health` }).end(),
    )

    set.expectOnly(await set.examineWith({ PUBLIC_URL: url }), 'address', /sends clients on/, /Set PUBLIC_URL to http/)
  })

  it('a certificate that nobody trusts is named', async ({ skip }) => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    try {
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-keyout',
          key,
          '-out',
          cert,
          '-days',
          '2',
          '-subj',
          '/CN=localhost',
        ],
        { stdio: 'ignore' },
      )
    } catch {
      skip('openssl is not installed')
    }
    const options = { key: await readFile(key), cert: await readFile(cert) }
    const secured = createTlsServer(options, (_request, response) => response.end()).listen(0, '127.0.0.1')
    onTestFinished(() => void secured.close())
    await new Promise((resolve) => secured.once('listening', resolve))

    const found = await set.examineWith({ PUBLIC_URL: `https://127.0.0.1:${(secured.address() as AddressInfo).port}` })

    set.expectOnly(found, 'address', /cannot be reached .*certificate/, /certificate/)
  })

  it('none at all is doubtful', async () => {
    const found = await set.examineWith()

    expect(errorsOf(found)).toEqual([])
    expect(found.at(-1)).toMatchObject({
      about: 'address',
      status: 'warning',
      message: expect.stringMatching(/^PUBLIC_URL is not set/),
      fix: expect.stringContaining('--url'),
    })
  })
})
