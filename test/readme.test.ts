import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { defaultPolicies } from '../src/core/policy/policy.ts'
import { formatSize } from '../src/core/size.ts'
import { type NodeProcess, startNodeProcess } from './support/node-process.ts'

const run = promisify(execFile)
const readme = await readFile('README.md', 'utf8')
const environment = { DATA_DIR: await mkdtemp(join(tmpdir(), 'landfall-readme-data-')) }
let server: NodeProcess

beforeAll(async () => {
  server = await startNodeProcess({ environment })
})

afterAll(async () => {
  await server.kill()
  await rm(environment.DATA_DIR, { recursive: true })
})

it('runs the commands of README.md, which send and show a file', async () => {
  const { url, env, cwd } = await newUser()
  const script = block('sh', 'curl').replaceAll('http://localhost:1080', url).replaceAll('npx landfall', landfall)

  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { cwd, env })

  expect(stdout).toContain('201 Created')
  expect(stdout).toMatch(/"filename":"hello.txt".*"state":"completed"/)
})

it('runs the program of README.md, which sends a file', async () => {
  const { url, env, cwd } = await newUser()
  await copyFile('test/samples/video.mp4', join(cwd, 'holiday.mp4'))
  await writeFile(join(cwd, 'send.mjs'), block('js', 'tus-js-client').replaceAll('http://localhost:1080', url))
  const { stdout: token } = await run('bash', ['-c', `${landfall} token --user ann --role member`], { cwd, env })

  const { stdout } = await run(process.execPath, ['send.mjs'], { cwd, env: { ...env, TOKEN: token.trim() } })

  expect(stdout).toContain('completed')
})

it('ends the program of README.md after a refused request, without its token', async () => {
  const { url, env, cwd } = await newUser()
  await copyFile('test/samples/program.elf', join(cwd, 'holiday.mp4'))
  await writeFile(join(cwd, 'send.mjs'), block('js', 'tus-js-client').replaceAll('http://localhost:1080', url))
  const { stdout } = await run('bash', ['-c', `${landfall} token --user bob --role subscriber`], { cwd, env })
  const token = stdout.trim()

  const refused = await run(process.execPath, ['send.mjs'], { cwd, env: { ...env, TOKEN: token } }).catch(
    (error) => error,
  )
  const listed = await fetch(`${url}/v1/uploads`, { headers: { authorization: `Bearer ${token}` } })
  const { uploads } = (await listed.json()) as { uploads: unknown[] }

  expect(refused.code).toBe(1)
  expect(refused.stderr.trim().split('\n')).toHaveLength(1)
  expect(refused.stderr).toContain('TYPE_NOT_ALLOWED')
  expect(refused.stdout + refused.stderr).not.toContain(token)
  expect(uploads.length).toBeLessThanOrEqual(1)
})

it('has the built-in limits in the table of README.md', () => {
  for (const [role, { maxSize }] of Object.entries(defaultPolicies.roles)) {
    expect(readme).toMatch(new RegExp(`\\| \`${role}\` +\\| ${formatSize(maxSize)} `))
  }
})

const landfall = `${process.execPath} ${resolve('dist/landfall.js')}`

/** An empty folder with the project's packages, and the development server that all these tests share. */
async function newUser() {
  const cwd = await mkdtemp(join(tmpdir(), 'landfall-readme-'))
  onTestFinished(() => rm(cwd, { recursive: true }))
  await symlink(resolve('node_modules'), join(cwd, 'node_modules'))
  return { url: server.url, cwd, env: { PATH: process.env.PATH, ...environment } }
}

/** The block of README.md in `language` that holds `word`. */
function block(language: string, word: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
  const found = blocks.find(([, name, text]) => name === language && text?.includes(word))
  if (!found?.[2]) throw new Error(`README.md has no ${language} block with ${word}`)
  return found[2]
}

it('has no conflict markers in documents', async () => {
  const documents = [...globSync('*.md'), ...globSync('{docs,docker,test}/**/*.md')]
  const texts = await Promise.all(documents.map((path) => readFile(path, 'utf8')))

  // Also in the form that a formatter leaves, which reads the markers as quotations.
  expect(documents.filter((_, i) => /^\|? ?(<{7}|={7}|>{7}|(> ){7})/m.test(texts[i] ?? ''))).toEqual([])
})
