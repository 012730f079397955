import { execFile, execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { examine, printFinding } from '../../src/cli/doctor/doctor.ts'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { loadConfig } from '../../src/config.ts'
import { freePort } from '../support/free-port.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'
import { type S3StandIn, startS3StandIn } from '../support/s3-stand-in.ts'
import { testSecret } from '../support/tus-file.ts'

const run = promisify(execFile)
const command = fileURLToPath(new URL('../../src/cli/landfall.ts', import.meta.url))
const nginx = fileURLToPath(new URL('../support/servers/nginx.sh', import.meta.url))
const openTo = { NODE_ENV: 'production', JWT_SECRET: testSecret, STORE: 's3', PART_SIZE: '5MiB', LOG_LEVEL: 'warn' }

let database: FreshDatabase
let s3: S3StandIn
let server: NodeProcess
/** A set-up in which nothing is wrong, and of which nobody says where clients reach it: looking at that takes seconds. */
let sound: Record<string, string>

beforeAll(async () => {
  database = await freshDatabase()
  s3 = await startS3StandIn({ equalParts: true })
  const there = {
    ...openTo,
    DATABASE_URL: database.url,
    ...s3.settings,
    TRUST_PROXY: 'loopback',
  }
  server = await startNodeProcess({ environment: there })
  sound = there
})

afterAll(async () => {
  await server.kill()
  await s3.close()
  await database.dispose()
})

/** What the doctor finds in the sound set-up when `changes` are made to it. */
async function examineWith(changes: Record<string, string | undefined> = {}): Promise<Finding[]> {
  const found: Finding[] = []
  for await (const finding of examine(() => loadConfig({ ...sound, ...changes }))) found.push(finding)
  return found
}

const broken = (found: Finding[]) => found.filter(({ is }) => is === 'broken')

/** Expects one fault, and that it says `says` and advises `remedy`. */
function expectOnly(found: Finding[], about: string, says: RegExp, remedy: RegExp): void {
  expect(broken(found).map(printFinding)).toHaveLength(1)
  const [fault] = broken(found)
  expect(fault).toMatchObject({ about, says: expect.stringMatching(says), remedy: expect.stringMatching(remedy) })
  expect(JSON.stringify(found)).not.toContain(s3.secretAccessKey)
}

async function ask(statement: string, url = database.url): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A role of its own that may do what `rights` say; its URL. */
async function roleWith(rights: (role: string) => string): Promise<string> {
  const role = `doctor_${randomUUID().slice(0, 8)}`
  await ask(`create role ${role} login password 'secret'; ${rights(role)}`)
  onTestFinished(() => ask(`drop owned by ${role}; drop role ${role}`))
  const url = new URL(database.url)
  url.username = role
  url.password = 'secret'
  return url.href
}

/** A web server that is not Landfall; its URL. */
async function otherServer(answer: RequestListener): Promise<string> {
  const other = createServer(answer).listen(0, '127.0.0.1')
  onTestFinished(() => void other.close(() => {}))
  await new Promise((resolve) => other.once('listening', resolve))
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`
}

describe('a sound set-up', () => {
  it('is found sound, and nothing is left in it', async () => {
    const found = await examineWith({ PUBLIC_URL: server.url })

    expect(found.filter(({ is }) => is !== 'fine').map(printFinding)).toEqual([])
    expect(new Set(found.map((finding) => finding.about))).toEqual(
      new Set(['configuration', 'database', 'bucket', 'address', 'proxy']),
    )
    expect([s3.objects(), s3.multiparts()]).toEqual([[], []])
  })

  it('is found sound by the command as well, which then ends with 0', async () => {
    const { stdout } = await run(process.execPath, [command, 'doctor'], {
      env: { ...sound, PUBLIC_URL: server.url, PATH: process.env.PATH },
    })

    expect(stdout).toMatch(/^ok +bucket +the bucket uploads is there/m)
    expect(stdout).not.toContain('FAULT')
  })
})

describe('the command', () => {
  it('ends with 1 when something is broken, and tells machines what', async () => {
    const env = { ...sound, S3_BUCKET: 'nowhere', PATH: process.env.PATH }

    const ended = await run(process.execPath, [command, 'doctor', '--json'], { env }).catch((error) => error)

    expect(ended.code).toBe(1)
    const { isSound, findings } = JSON.parse(ended.stdout)
    expect(isSound).toBe(false)
    expect(findings).toContainEqual({
      about: 'bucket',
      is: 'broken',
      says: 'the bucket nowhere does not exist',
      remedy: expect.stringContaining('Create the bucket'),
    })
  })

  it('names a clock that is an hour ahead', async () => {
    const ahead =
      'data:text/javascript,const now=Date.now;globalThis.Date=class extends Date{constructor(...a){super(...(a.length?a:[now()+36e5]))}static now(){return now()+36e5}}'
    const env = { ...sound, PATH: process.env.PATH }

    const ended = await run(process.execPath, ['--import', ahead, command, 'doctor', '--json'], { env }).catch(
      (error) => error,
    )

    const { findings } = JSON.parse(ended.stdout) as { findings: Finding[] }
    expect(broken(findings)).toContainEqual(
      expect.objectContaining({ about: 'bucket', says: expect.stringMatching(/clocks .* differ by 60 minutes/) }),
    )
    expect(findings).toContainEqual(
      expect.objectContaining({
        about: 'database',
        is: 'doubtful',
        says: expect.stringMatching(/differ by 36\d\d seconds/),
      }),
    )
  })
})

describe('of the configuration', () => {
  it('every problem is named', async () => {
    const found = await examineWith({ JWT_SECRET: undefined, PART_SIZE: 'large' })

    expect(broken(found).map(({ says }) => says)).toEqual([
      'JWT_SECRET: is not set',
      'PART_SIZE: expected a size such as 8MiB',
    ])
  })
})

describe('of the bucket', () => {
  it('a wrong key is named', async () => {
    const found = await examineWith({ S3_ACCESS_KEY_ID: 'nobody' })

    expectOnly(found, 'bucket', /refuses these credentials/, /S3_ACCESS_KEY_ID/)
  })

  it('a wrong secret is named', async () => {
    const found = await examineWith({ S3_SECRET_ACCESS_KEY: 'nonsense' })

    expectOnly(found, 'bucket', /refuses these credentials/, /S3_SECRET_ACCESS_KEY/)
  })

  it('a bucket that is not there is named', async () => {
    expectOnly(await examineWith({ S3_BUCKET: 'nowhere' }), 'bucket', /nowhere does not exist/, /Create the bucket/)
  })

  it('a server that does not answer is named', { timeout: 60_000 }, async () => {
    const found = await examineWith({ S3_ENDPOINT: `http://127.0.0.1:${await freePort()}` })

    expectOnly(found, 'bucket', /cannot be reached/, /S3_ENDPOINT/)
  })

  it.each([
    ['AbortMultipartUpload', /abort a multipart upload \(403 AccessDenied\)/, /s3:AbortMultipartUpload/],
    ['ListMultipartUploads', /list multipart uploads/, /s3:ListBucketMultipartUploads/],
    ['ListObjectsV2', /list objects/, /s3:ListBucket/],
    ['PutObject', /write an object/, /s3:PutObject/],
    ['GetObject', /read it back/, /s3:GetObject/],
    ['DeleteObjects', /remove objects/, /s3:DeleteObject/],
  ])('a key that may not %s is named', async (operation, says, remedy) => {
    s3.faults.next(operation, { status: 403, code: 'AccessDenied', times: Number.POSITIVE_INFINITY })
    onTestFinished(async () => {
      s3.faults.clear()
      await s3.abortMultiparts()
      for (const { key } of s3.objects()) await s3.removeObject(key)
    })

    const found = await examineWith()

    expect(broken(found)).toContainEqual({
      about: 'bucket',
      is: 'broken',
      says: expect.stringMatching(says),
      remedy: expect.stringMatching(remedy),
    })
  })

  it('an address at which nobody gets objects is named', async () => {
    const found = await examineWith({ S3_PUBLIC_URL: `${s3.endpoint}/${s3.bucket}` })

    expect(found).toContainEqual(
      expect.objectContaining({ is: 'doubtful', says: expect.stringMatching(/are answered with 403/) }),
    )
  })

  it('whether parts must have one size is told', async () => {
    const lax = await startS3StandIn()
    onTestFinished(() => lax.close())
    const said = (found: Finding[]) => found.filter(({ about }) => about === 'bucket').map(({ says }) => says)

    expect(said(await examineWith())).toContainEqual(expect.stringContaining('parts must have one size'))
    expect(said(await examineWith({ S3_ENDPOINT: lax.endpoint }))).toContainEqual(
      expect.stringContaining('parts may differ in size'),
    )
  })
})

describe('of the database', () => {
  it('one that does not answer is named', async () => {
    const found = await examineWith({ DATABASE_URL: `postgres://x:y@127.0.0.1:${await freePort()}/landfall` })

    expectOnly(found, 'database', /cannot be reached/, /host and port/)
  })

  it('one that is not there is named', async () => {
    const url = new URL(database.url)
    url.pathname = '/nowhere'

    expectOnly(await examineWith({ DATABASE_URL: url.href }), 'database', /no such database/, /Create it/)
  })

  it('tables that are not there yet are named', async () => {
    const empty = await freshDatabase()
    onTestFinished(() => empty.dispose())

    expectOnly(await examineWith({ DATABASE_URL: empty.url }), 'database', /tables are not there/, /landfall migrate/)
  })

  it('tables of a newer Landfall are named', async () => {
    await ask(`insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)`)
    onTestFinished(() => ask(`delete from drizzle.__drizzle_migrations where hash = 'newer'`))

    expectOnly(await examineWith(), 'database', /newer Landfall/, /that version/)
  })

  it('a role that may only read is named', async () => {
    const url = await roleWith(
      (role) => `alter role ${role} set default_transaction_read_only = on;
        grant usage on schema drizzle to ${role}; grant select on all tables in schema drizzle, public to ${role};
        grant insert, update, delete on all tables in schema public to ${role}`,
    )

    const found = await examineWith({ DATABASE_URL: url })

    expectOnly(found, 'database', /are read-only/, /RESET default_transaction_read_only/)
  })

  it('a role that lacks rights is named with them', async () => {
    const url = await roleWith(
      (role) => `grant usage on schema drizzle to ${role};
        grant select on all tables in schema drizzle, public to ${role};
        grant insert, update on all tables in schema public to ${role}`,
    )

    const found = await examineWith({ DATABASE_URL: url })

    expectOnly(found, 'database', /lacks rights: DELETE upload_sessions, DELETE upload_parts/, /GRANT .*DELETE/)
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

    const found = await examineWith({ ...local, DATA_DIR: folder })

    expectOnly(
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

    const found = await examineWith({ ...local, DATA_DIR: join(folder, 'file') })

    expectOnly(found, 'folder', /cannot be written to/, /set DATA_DIR to a folder/)
  })

  it('a good one is found good, and left as it was', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-doctor-'))
    onTestFinished(() => rm(folder, { recursive: true }))

    const found = await examineWith({ ...local, DATA_DIR: folder })

    expect(broken(found)).toEqual([])
    expect(found).toContainEqual({ about: 'folder', is: 'fine', says: `${folder}/files can be written to` })
  })
})

describe('of the address', () => {
  it('one at which something else answers is named', async () => {
    const url = await otherServer((_request, response) => response.end('<h1>It works!</h1>'))

    expectOnly(
      await examineWith({ PUBLIC_URL: url }),
      'address',
      /something else answers/,
      /point the proxy to HOST and PORT/,
    )
  })

  it('one at which nobody listens is named', async () => {
    const found = await examineWith({ PUBLIC_URL: `http://127.0.0.1:${await freePort()}` })

    expectOnly(found, 'address', /cannot be reached/, /Nothing listens there/)
  })

  it('that of another deployment is named', async () => {
    const found = await examineWith({
      PUBLIC_URL: server.url,
      JWT_SECRET: 'another secret that is long enough too',
    })

    expectOnly(found, 'address', /does not take this configuration’s tokens \(401\)/, /another deployment/)
  })

  it('one that sends on to another is named', async () => {
    const url = await otherServer((_request, response) =>
      response.writeHead(301, { location: `${server.url}/health` }).end(),
    )

    expectOnly(await examineWith({ PUBLIC_URL: url }), 'address', /sends clients on/, /Set PUBLIC_URL to http/)
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

    const found = await examineWith({ PUBLIC_URL: `https://127.0.0.1:${(secured.address() as AddressInfo).port}` })

    expectOnly(found, 'address', /cannot be reached .*certificate/, /certificate/)
  })

  it('none at all is doubtful', async () => {
    const found = await examineWith()

    expect(broken(found)).toEqual([])
    expect(found.at(-1)).toMatchObject({ about: 'address', is: 'doubtful', remedy: expect.stringContaining('--url') })
  })
})

describe('of a proxy', () => {
  /** nginx before the server, with settings that somebody got wrong. */
  function proxied(settings: Record<string, string>): string | null {
    const env = { PATH: process.env.PATH, UPSTREAM_PORTS: String(server.port), NGINX_NAME: randomUUID(), ...settings }
    try {
      execFileSync('nginx', ['-v'], { stdio: 'ignore' })
    } catch {
      return null
    }
    const said = execFileSync(nginx, ['up'], { env, encoding: 'utf8' })
    onTestFinished(() => void execFileSync(nginx, ['down'], { env }))
    return /http:\S+/.exec(said)![0]
  }

  it('good settings are found good', async ({ skip }) => {
    const url = proxied({}) ?? skip('nginx is not installed')

    const found = await examineWith({ PUBLIC_URL: url })

    expect(found.filter(({ is }) => is !== 'fine').map(printFinding)).toEqual([])
  })

  it('buffering is named', async ({ skip }) => {
    const url = proxied({ NGINX_BUFFERING: 'on' }) ?? skip('nginx is not installed')

    const found = await examineWith({ PUBLIC_URL: url })

    expectOnly(found, 'proxy', /only when all of a request has been sent/, /proxy_request_buffering off/)
  })

  it('a small body limit is named with its size', async ({ skip }) => {
    const url = proxied({ NGINX_BODY_LIMIT: '100m' }) ?? skip('nginx is not installed')

    const found = await examineWith({ PUBLIC_URL: url })

    expectOnly(found, 'proxy', /101 MiB is refused on the way, one of 2 MiB is not/, /client_max_body_size 0/)
  })
})
