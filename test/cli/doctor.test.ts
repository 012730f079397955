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
import type { Finding } from '../../src/stores/finding.ts'
import { errorsOf, examined, otherServer } from '../support/examined.ts'
import { freePort } from '../support/free-port.ts'
import { freshDatabase } from '../support/postgres.ts'
import { startS3StandIn } from '../support/s3-stand-in.ts'

const run = promisify(execFile)
// As it is shipped; the server of the set-up was built with it.
const command = resolve('dist/landfall.js')
const setUp = examined()

async function query(statement: string, url = setUp.database.url): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

/** Creates a role with the privileges that `grants` gives it. @returns its URL */
async function roleWith(grants: (role: string) => string): Promise<string> {
  const role = `doctor_${randomUUID().slice(0, 8)}`
  await query(`create role ${role} login password 'secret'; ${grants(role)}`)
  onTestFinished(async () => void (await query(`drop owned by ${role}; drop role ${role}`)))
  const url = new URL(setUp.database.url)
  url.username = role
  url.password = 'secret'
  return url.href
}

/** Runs the command as it is shipped. */
async function doctor(args: string[], settings: Record<string, string>): Promise<{ code: number; output: string }> {
  const env = { ...setUp.settings, ...settings, PATH: process.env.PATH }
  return run(process.execPath, [command, 'doctor', ...args], { env }).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    ({ code, stdout }) => ({ code, output: stdout }),
  )
}

describe('the command', () => {
  it('exits with 0 when it finds no problem, and leaves nothing behind', async () => {
    const { code, output } = await doctor(['--json'], { PUBLIC_URL: setUp.server.url })

    expect(code).toBe(0)
    const { ok, findings } = JSON.parse(output) as { ok: boolean; findings: Finding[] }
    expect(ok).toBe(true)
    expect(findings.filter(({ status }) => status !== 'ok').map(printFinding)).toEqual([])
    expect(new Set(findings.map((finding) => finding.about))).toEqual(
      new Set(['configuration', 'database', 'bucket', 'address', 'proxy']),
    )
    const left = setUp.s3.objects().filter(({ key }) => !/^\.landfall\/(store\.json|probe)$/.test(key))
    expect([left, setUp.s3.multiparts()]).toEqual([[], []])
  })

  it('exits with 1 on an error, and prints what to do', async () => {
    const { code, output } = await doctor([], { S3_BUCKET: 'nowhere' })

    expect(code).toBe(1)
    expect(output).toMatch(/^ok +database /m)
    expect(output).toMatch(/^ERROR +bucket +the bucket nowhere does not exist\n +→ Create the bucket/m)
  })
})

describe('the doctor on the machine', () => {
  it('reports a clock that is an hour ahead', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
    // The S3 server runs in this process, and its clock is right.
    setUp.s3.setClock(-3_600_000)
    onTestFinished(() => {
      vi.useRealTimers()
      setUp.s3.setClock(0)
    })

    const findings = await setUp.examineWith()

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

describe('the doctor on the configuration', () => {
  it('reports every problem', async () => {
    const found = await setUp.examineWith({ JWT_SECRET: undefined, PART_SIZE: 'large' })

    expect(errorsOf(found).map(({ message }) => message)).toEqual([
      'JWT_SECRET: is not set',
      'PART_SIZE: expected a size such as 8MiB',
    ])
  })
})

describe('the doctor on the bucket', () => {
  it('reports a wrong access key', async () => {
    const found = await setUp.examineWith({ S3_ACCESS_KEY_ID: 'unknown' })

    setUp.expectOnly(found, 'bucket', /refuses these credentials/, /S3_ACCESS_KEY_ID/)
  })

  it('reports a wrong secret key', async () => {
    const found = await setUp.examineWith({ S3_SECRET_ACCESS_KEY: 'nonsense' })

    setUp.expectOnly(found, 'bucket', /refuses these credentials/, /S3_SECRET_ACCESS_KEY/)
  })

  it('reports a missing bucket', async () => {
    setUp.expectOnly(
      await setUp.examineWith({ S3_BUCKET: 'nowhere' }),
      'bucket',
      /nowhere does not exist/,
      /Create the bucket/,
    )
  })

  it('reports a server that does not answer', { timeout: 60_000 }, async () => {
    const found = await setUp.examineWith({ S3_ENDPOINT: `http://127.0.0.1:${await freePort()}` })

    setUp.expectOnly(found, 'bucket', /cannot be reached/, /S3_ENDPOINT/)
  })

  it.each([
    ['AbortMultipartUpload', /abort a multipart upload \(403 AccessDenied\)/, /s3:AbortMultipartUpload/],
    ['ListMultipartUploads', /list multipart uploads/, /s3:ListBucketMultipartUploads/],
    ['ListObjectsV2', /list objects/, /s3:ListBucket/],
    ['PutObject', /does not let this key use the bucket uploads \(PutObject needs s3:PutObject\)/, /s3:PutObject/],
    ['GetObject', /read it back/, /s3:GetObject/],
    ['DeleteObjects', /remove objects/, /s3:DeleteObject/],
  ])('reports a key that may not %s', async (operation, message, fix) => {
    setUp.s3.faults.next(operation, { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    onTestFinished(async () => {
      setUp.s3.faults.clear()
      await setUp.s3.abortMultiparts()
      for (const { key } of setUp.s3.objects()) await setUp.s3.removeObject(key)
    })

    const found = await setUp.examineWith()

    expect(errorsOf(found)).toContainEqual({
      about: 'bucket',
      status: 'error',
      message: expect.stringMatching(message),
      fix: expect.stringMatching(fix),
    })
  })

  it('reports a public URL that does not serve objects', async () => {
    const found = await setUp.examineWith({ S3_PUBLIC_URL: `${setUp.s3.endpoint}/${setUp.s3.bucket}` })

    expect(found).toContainEqual(
      expect.objectContaining({
        status: 'warning',
        message: expect.stringMatching(/are answered with 403/),
        // The fix never suggests to make a private bucket public.
        fix: expect.stringMatching(/^Remove S3_PUBLIC_URL if the bucket is private/),
      }),
    )
  })

  it('distinguishes a key that may not list the bucket from a wrong one', async () => {
    setUp.s3.faults.next('HeadBucket', { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    setUp.s3.faults.next('ListObjectsV2', { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    onTestFinished(() => setUp.s3.faults.clear())

    const found = await setUp.examineWith()

    setUp.expectOnly(found, 'bucket', /list objects \(403 AccessDenied\)/, /s3:ListBucket; docs\/buckets.md/)
  })

  it('reports a bucket that requires checksums, with the setting that sends them', async () => {
    const locked = await startS3StandIn({ locked: true })
    onTestFinished(() => locked.close())

    const found = await setUp.examineWith({ S3_ENDPOINT: locked.endpoint })
    const withChecksums = await setUp.examineWith({ S3_ENDPOINT: locked.endpoint, S3_CONTENT_MD5: 'true' })

    setUp.expectOnly(found, 'bucket', /requires checksums/, /Set S3_CONTENT_MD5=true/)
    expect(errorsOf(withChecksums)).toEqual([])
  })

  it('reports a bucket that keeps old versions, with the rule that removes them', async () => {
    const versioned = await startS3StandIn({ versioned: true })
    onTestFinished(() => versioned.close())

    const found = await setUp.examineWith({ S3_ENDPOINT: versioned.endpoint })

    expect(found).toContainEqual({
      about: 'bucket',
      status: 'warning',
      message: expect.stringContaining('keeps old versions'),
      fix: expect.stringContaining('expires noncurrent versions below .landfall/'),
    })
  })

  it('reports whether all parts must have the same size', async () => {
    const lax = await startS3StandIn()
    onTestFinished(() => lax.close())
    const messages = (found: Finding[]) => found.filter(({ about }) => about === 'bucket').map(({ message }) => message)

    expect(messages(await setUp.examineWith())).toContainEqual(expect.stringContaining('parts must have the same size'))
    expect(messages(await setUp.examineWith({ S3_ENDPOINT: lax.endpoint }))).toContainEqual(
      expect.stringContaining('parts may differ in size'),
    )
  })
})

describe('the doctor on the database', () => {
  it('reports a server that does not answer', async () => {
    const found = await setUp.examineWith({
      ...setUp.withoutBucket,
      DATABASE_URL: `postgres://x:y@127.0.0.1:${await freePort()}/landfall`,
    })

    setUp.expectOnly(found, 'database', /cannot be reached/, /host and port/)
  })

  it('reports a missing database', async () => {
    const url = new URL(setUp.database.url)
    url.pathname = '/nowhere'

    setUp.expectOnly(
      await setUp.examineWith({ ...setUp.withoutBucket, DATABASE_URL: url.href }),
      'database',
      /no such database/,
      /Create it/,
    )
  })

  it('reports missing tables', async () => {
    const empty = await freshDatabase()
    onTestFinished(() => empty.dispose())

    setUp.expectOnly(
      await setUp.examineWith({ ...setUp.withoutBucket, DATABASE_URL: empty.url }),
      'database',
      /tables do not exist/,
      /landfall migrate/,
    )
  })

  it('reports tables of a newer Landfall', async () => {
    await query(`insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)`)
    onTestFinished(async () => void (await query(`delete from drizzle.__drizzle_migrations where hash = 'newer'`)))

    setUp.expectOnly(await setUp.examineWith(setUp.withoutBucket), 'database', /newer Landfall/, /that version/)
  })

  it('reports a role that may only read', async () => {
    const url = await roleWith(
      (role) => `alter role ${role} set default_transaction_read_only = on;
        grant usage on schema drizzle to ${role}; grant select on all tables in schema drizzle, public to ${role};
        grant insert, update, delete on all tables in schema public to ${role}`,
    )

    const found = await setUp.examineWith({ ...setUp.withoutBucket, DATABASE_URL: url })

    setUp.expectOnly(found, 'database', /are read-only/, /RESET default_transaction_read_only/)
  })

  it('reports missing privileges of a role, with every table', async () => {
    const url = await roleWith(
      (role) => `grant usage on schema drizzle to ${role};
        grant select on all tables in schema drizzle, public to ${role};
        grant insert, update on all tables in schema public to ${role}`,
    )

    const found = await setUp.examineWith({ ...setUp.withoutBucket, DATABASE_URL: url })

    setUp.expectOnly(found, 'database', /lacks privileges: DELETE /, /GRANT .*DELETE/)
    const named = JSON.stringify(found).match(/DELETE (\w+)(?=[,"])/g)
    const tables = await query(`select tablename from pg_tables where schemaname = 'public'`)
    expect(named!.sort()).toEqual(tables.map(({ tablename }) => `DELETE ${tablename}`).sort())
  })

  it('reports a role that may not read the list of migrations', async () => {
    const url = await roleWith(
      (role) => `grant usage on schema drizzle to ${role};
        grant select, insert, update, delete on all tables in schema public to ${role}`,
    )

    const found = await setUp.examineWith({ ...setUp.withoutBucket, DATABASE_URL: url })

    setUp.expectOnly(found, 'database', /may not read the list of migrations/, /GRANT SELECT ON drizzle\./)
  })
})

describe('the doctor on the folder', () => {
  const local = { STORE: 'local' }

  it('reports a folder of another user, with its owner', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    await chmod(folder, 0o555)
    // Root may write anywhere.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid!(65_534)
    onTestFinished(async () => {
      if (isRoot) process.seteuid!(0)
      await rm(folder, { recursive: true })
    })

    const found = await setUp.examineWith({ ...local, DATA_DIR: folder })

    setUp.expectOnly(
      // The other user may not read this working copy either, so what doctor needs of it is missing.
      found.filter(({ about }) => about === 'folder'),
      'folder',
      /is not writable \(EACCES/,
      new RegExp(`${folder} belongs to user ${isRoot ? 0 : process.getuid?.()}`),
    )
  })

  it('reports a file in place of the folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'file'), '')

    const found = await setUp.examineWith({ ...local, DATA_DIR: join(folder, 'file') })

    setUp.expectOnly(found, 'folder', /is not writable/, /set DATA_DIR to a folder/)
  })

  it('warns of a missing folder and does not create it: its volume may be unmounted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))

    const found = await setUp.examineWith({ ...local, DATA_DIR: join(folder, 'data') })

    expect(found).toContainEqual(
      expect.objectContaining({ about: 'folder', status: 'warning', fix: expect.stringContaining('mount') }),
    )
    expect(await readdir(folder)).toEqual([])
  })

  it('finds no problem in a writable folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))

    const found = await setUp.examineWith({ ...local, DATA_DIR: folder })

    expect(errorsOf(found)).toEqual([])
    expect(found).toContainEqual({ about: 'folder', status: 'ok', message: `${folder} is writable` })
  })
})

describe('the doctor on the address', () => {
  it('reports an address at which something else answers', async () => {
    const url = await otherServer((_request, response) => response.end('<h1>It works!</h1>'))

    setUp.expectOnly(
      await setUp.examineWith({ ...setUp.withoutBucket, PUBLIC_URL: url }),
      'address',
      /something else answers/,
      /point the proxy to HOST and PORT/,
    )
  })

  it('reports an address at which nothing listens', async () => {
    const found = await setUp.examineWith({
      ...setUp.withoutBucket,
      PUBLIC_URL: `http://127.0.0.1:${await freePort()}`,
    })

    setUp.expectOnly(found, 'address', /cannot be reached/, /Nothing listens there/)
  })

  it('reports the address of another deployment', async () => {
    const found = await setUp.examineWith({
      ...setUp.withoutBucket,
      PUBLIC_URL: setUp.server.url,
      JWT_SECRET: 'another secret that is long enough too',
    })

    setUp.expectOnly(found, 'address', /does not accept tokens of this configuration \(401\)/, /another deployment/)
  })

  it('reports an address that redirects to another', async () => {
    const url = await otherServer((_request, response) =>
      response.writeHead(301, { location: `${setUp.server.url}/health` }).end(),
    )

    setUp.expectOnly(
      await setUp.examineWith({ ...setUp.withoutBucket, PUBLIC_URL: url }),
      'address',
      /redirects clients/,
      /Set PUBLIC_URL to http/,
    )
  })

  it('reports a certificate that clients do not trust', async ({ skip }) => {
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

    const found = await setUp.examineWith({
      ...setUp.withoutBucket,
      PUBLIC_URL: `https://127.0.0.1:${(secured.address() as AddressInfo).port}`,
    })

    setUp.expectOnly(found, 'address', /cannot be reached .*certificate/, /certificate/)
  })

  it('warns when there is no address to test', async () => {
    const found = await setUp.examineWith(setUp.withoutBucket)

    expect(errorsOf(found)).toEqual([])
    expect(found.at(-1)).toMatchObject({
      about: 'address',
      status: 'warning',
      message: expect.stringMatching(/^PUBLIC_URL is not set/),
      fix: expect.stringContaining('--url'),
    })
  })
})
