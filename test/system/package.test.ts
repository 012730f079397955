/* The package that npm publishes, in an empty project outside of the repository. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Upload } from 'tus-js-client'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { startNodeProcess } from '../support/node-process.ts'
import { freshDatabase } from '../support/postgres.ts'
import { runInShell } from './shell.ts'

const run = promisify(execFile)
const tool = (name: string) => resolve('node_modules/.bin', name)
const { version, devDependencies, dependencies } = JSON.parse(await readFile('package.json', 'utf8'))
const examples = [...(await readFile('docs/embedding.md', 'utf8')).matchAll(/^```js\n(.*?)^```$/gms)].map(
  ([, code]) => code!,
)

let folder: string
let packed: string
let project: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-package-'))
  packed = join(folder, 'package')
  await run('node', ['bin/pack.mjs', packed])
  project = await newProject('project', `fastify@${dependencies.fastify}`, `express@${devDependencies.express}`)
}, 600_000)
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/** A project in which npm has installed the package, and `packages` beside it. */
async function newProject(name: string, ...packages: string[]): Promise<string> {
  const path = join(folder, name)
  await mkdir(path)
  await writeFile(join(path, 'package.json'), '{ "private": true, "type": "module" }')
  const tarball = join(folder, `landfall-${version}.tgz`)
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball, ...packages], { cwd: path })
  return path
}

it('installs few packages, and no client of S3, which is in the bundle', async () => {
  const { packages } = JSON.parse(await readFile(join(project, 'package-lock.json'), 'utf8'))
  const own = JSON.parse(await readFile(join(project, 'node_modules/landfall/package.json'), 'utf8'))

  expect(Object.keys(own.dependencies)).toEqual(['@fastify/swagger-ui', 'tus-js-client'])
  expect(own.private).toBeUndefined()
  expect(Object.keys(packages).filter((path) => /aws-sdk|drizzle|pg-boss/.test(path))).toEqual([])
})

it('has the licence of every package whose code is in it', async () => {
  const text = await readFile(join(project, 'node_modules/landfall/THIRD-PARTY-LICENSES'), 'utf8')

  for (const name of ['fastify', '@aws-sdk/client-s3', 'pg', 'pg-boss', 'zod', 'preact', '@tus/server'])
    expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'))
  expect(text).not.toMatch(/^(vitest|typescript|express) /m)
})

it('has exports and types that every tool resolves', async () => {
  await run(tool('publint'), ['--strict', packed])
  // CommonJS is left out: Node 22.12 and later load ES modules with `require`.
  await run(tool('attw'), ['--profile', 'esm-only', join(folder, `landfall-${version}.tgz`)])
})

it('has the types that test/embed/types.ts describes', async () => {
  const source = await readFile('test/embed/types.ts', 'utf8')
  const checked = source
    .replace('../../src/embed/index.ts', 'landfall')
    .replace('../../src/embed/fastify.ts', 'landfall/fastify')
  const others = `import type { Hooks } from 'landfall/hooks'
    import { memoryStore, openTestServer, scriptFaults } from 'landfall/testing'
    import { createUploads } from 'landfall/client'
    import { serverUrlStorage } from 'landfall/url-storage'
    export const hooks = { authorize: ({ actor }) => actor.isAdmin } satisfies Hooks
    export const { left } = scriptFaults(memoryStore(), [{ call: 'put', how: 'fails' }])
    export const server = openTestServer({ policies: { creator: { maxSize: 5 } } })
    export const client = [createUploads, serverUrlStorage]`
  await writeFile(join(project, 'types.ts'), checked)
  await writeFile(join(project, 'others.ts'), others)
  await cp('node_modules/@types/node', join(project, 'node_modules/@types/node'), { recursive: true })
  await cp('node_modules/undici-types', join(project, 'node_modules/undici-types'), { recursive: true })
  const options = {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'dom'],
    strict: true,
    noEmit: true,
    types: ['node'],
  }
  await writeFile(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['types.ts', 'others.ts'] }),
  )

  await expect(run(tool('tsc'), ['-p', project]).catch(({ stdout }) => stdout)).resolves.toMatchObject({ stdout: '' })
})

it('serves with `npx landfall serve`, without a build', async () => {
  const port = await freePort()
  const server = runInShell(`cd ${project} && exec npx landfall serve`, {
    cwd: project,
    // The Node of the tests: that of the machine may be too old.
    env: {
      PORT: String(port),
      DATA_DIR: join(project, 'data'),
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    },
  })
  await server.waitFor(/Landfall is up/)

  const answers = await Promise.all(['/readyz', '/', '/docs/'].map((path) => fetch(`http://localhost:${port}${path}`)))

  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  await server.interrupt()
  expect(server.output()).toMatch(/stopped/)
})

it.each([
  ['Fastify', 0],
  ['Express', 1],
])('runs the %s app of docs/embedding.md, also across kill -9', async (name, index) => {
  const script = join(project, `${name}.mjs`)
  await writeFile(script, examples[index]!)
  const { url, dispose } = await freshDatabase()
  onTestFinished(dispose)
  const app = await startNodeProcess({ script, environment: { DATABASE_URL: url }, readyAt: '/uploads/readyz' })
  const bytes = randomBytes(3_000_000)
  const kills: Promise<void>[] = []

  const sent = new Promise<void>((done, fail) => {
    const upload = new Upload(bytes as never, {
      endpoint: `${app.url}/uploads/files`,
      headers: { 'x-user': 'ann' },
      // The server compares it before it calls the file complete.
      metadata: { filename: 'file.bin', sha256: createHash('sha256').update(bytes).digest('hex') },
      chunkSize: 500_000,
      retryDelays: [0, 100, 500, 1000, 2000, 2000, 2000, 5000],
      onChunkComplete(_size, accepted) {
        if (accepted >= 1_000_000 && kills.length === 0) kills.push(app.kill().then(() => app.start()))
      },
      onSuccess: () => done(),
      onError: fail,
    })
    upload.start()
  })
  await sent
  await Promise.all(kills)

  expect(kills).toHaveLength(1)
  if (name === 'Fastify') await app.untilLogged(/ann sent .*, 3000000 bytes/)
  expect(await app.stop()).toBe(name === 'Fastify' ? null : 0)
})

it('gives apps a store in memory that fails on demand', async () => {
  const script = join(project, 'testing.mjs')
  await writeFile(
    script,
    `import { memoryStore, scriptFaults } from 'landfall/testing'
     const store = memoryStore()
     const { left } = scriptFaults(store, [{ call: 'put', how: 'fails' }])
     const put = () => store.put('a', { size: 1, chunks: () => [Buffer.from('x')] }, { contentType: 'text/plain' })
     const outcomes = await Promise.allSettled([put()])
     await put()
     console.log(outcomes[0].reason.code, String(store.objects.get('a')), left().length)`,
  )

  const { stdout } = await run('node', [script])

  expect(stdout.trim()).toBe('STORE_UNAVAILABLE x 0')
})
