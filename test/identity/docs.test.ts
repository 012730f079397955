import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleForBrowsers } from '../../bin/bundle.mjs'
import { loadConfig } from '../../src/config.ts'
import { userOf } from '../../src/core/upload.ts'
import { loadHooks } from '../../src/features/operator-hooks/load.ts'
import { typeHooks } from '../../src/features/operator-hooks/typed.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'

const run = promisify(execFile)
const page = await readFile('docs/identity.md', 'utf8')
const secret = 'a secret that is long enough for HS256'
const landfall = `${process.execPath} ${resolve('dist/landfall.js')}`
const ann = userOf('ann', 'creator')

let database: FreshDatabase
let server: NodeProcess
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-identity-'))
  database = await freshDatabase({ isMigrated: true })
  const environment = { NODE_ENV: 'production', DATABASE_URL: database.url, JWT_SECRET: secret, DATA_DIR: folder }
  server = await startNodeProcess({ environment })
  env = {
    ...environment,
    PATH: process.env.PATH!,
    LANDFALL: server.url,
    TOKEN: await signToken(secret, ann, 600),
    FILE: resolve('test/samples/note.pdf'),
  }
  // As in a project that has installed the package.
  const installed = join(folder, 'node_modules/landfall')
  await mkdir(installed, { recursive: true })
  await cp('package.json', join(installed, 'package.json'))
  await symlink(resolve('node_modules/tus-js-client'), join(folder, 'node_modules/tus-js-client'))
  await bundleForBrowsers(join(installed, 'dist'))
  await run('tsc', ['-p', 'tsconfig.exports.json', '--outDir', join(installed, 'dist/types')])
})

afterAll(async () => {
  await server?.kill()
  await database?.dispose()
  await rm(folder, { recursive: true, force: true })
})

it('runs the commands of docs/identity.md', async () => {
  const script = blocks('sh').join('\n').replaceAll('npx landfall', landfall)

  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: folder, env })

  expect(stdout).toMatch(/"filename":"report.pdf"/)
  expect(stdout).toMatch(/\tactive\timporter\trole creator\tuser itself\tupload,read\t/)
  expect(stdout).toMatch(/^revoked lf_.{6}… \(importer\)$/m)
  expect(stdout).toMatch(/"name":"viewer".*"token":"lf_/)
  expect(stdout).toMatch(/"uploads":\[\]/)
  // The log has the changes, but no key and no token.
  const tokens = stdout.match(/lf_[\w-]{43}|eyJ[\w-]+\.[\w-]+\.[\w-]+/g) ?? []
  expect(tokens.length).toBeGreaterThan(2)
  for (const token of tokens) expect(server.log()).not.toContain(token)
  expect(server.log()).toContain('key.created')
})

it('sends a file with the programs of docs/identity.md', async () => {
  const programs = blocks('js')
  expect(programs).toHaveLength(2)

  for (const [at, program] of programs.entries()) {
    await writeFile(join(folder, `send-${at}.mjs`), program)
    const { stdout } = await run(process.execPath, [`send-${at}.mjs`], { cwd: folder, env })
    expect(stdout).toContain('arrived')
  }
})

it('accepts the issuers of docs/identity.md as a setting', () => {
  const [json = ''] = blocks('json')

  expect(loadConfig({ ISSUERS: json }).ISSUERS.map(({ name, algorithms }) => [name, algorithms.length])).toEqual([
    ['keycloak', 11],
    ['partner', 1],
  ])
})

it('type-checks and runs the hooks of docs/identity.md', async () => {
  const [code = ''] = blocks('ts')
  const path = join(folder, 'hooks.ts')
  await writeFile(path, code)
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--noEmit', '--types', '']

  await writeFile(join(folder, 'wrong.ts'), code.replace("return action !== 'create'", 'return 7'))
  const { stdout } = await run('tsc', [...options, 'hooks.ts', 'wrong.ts'], { cwd: folder }).catch((error) => error)
  const problems = (stdout as string).split('\n').filter((line) => /\berror TS/.test(line))
  expect(problems.filter((line) => !line.startsWith('wrong.ts'))).toEqual([])
  expect(problems[0]).toMatch(/not assignable to type '.*Promise<Verdict> \| Verdict'/)

  const { authorize, nameObject, identify } = typeHooks(await loadHooks(path), 1000)
  const creation = { size: 1, filename: 'a.txt', contentType: 'text/plain' }
  await authorize!({ actor: ann, action: 'create', creation })
  await expect(authorize!({ actor: userOf('mallory', 'creator'), action: 'complete' })).rejects.toMatchObject({
    status: 403,
  })
  expect(await nameObject!({ actor: ann, creation, id: 'x', unique: 'y' })).toBe('all/x/a.txt')
  expect(await identify!({ method: 'GET', url: '/', headers: { 'x-service-user': 'reports' }, ip: '' })).toEqual(
    userOf('reports', 'member'),
  )
})

/** The blocks of the page in `language`, from top to bottom. */
function blocks(language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code!)
}
