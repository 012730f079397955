import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'

describe('the launcher', () => {
  it('installs on a fresh clone, builds, and starts', async () => {
    const project = await fakeProject()

    await project.launch('start').ended

    expect(await project.calls()).toEqual([
      'npm ci --include=dev --no-audit --no-fund',
      'node bin/bundle.mjs',
      'node --max-semi-space-size=16 dist/server.js',
    ])
  })

  it('installs and builds nothing when nothing has changed', async () => {
    const project = await fakeProject()
    await project.launch('start').ended
    await project.forget()

    await project.launch('start').ended

    expect(await project.calls()).toEqual(['node --max-semi-space-size=16 dist/server.js'])
  })

  it('installs again when package-lock.json asks for another version', async () => {
    const project = await fakeProject()
    await project.launch('start').ended
    await project.forget()
    await project.write('package-lock.json', lock('2.0.0'))

    await project.launch('start').ended

    expect((await project.calls())[0]).toMatch('npm ci')
  })

  it('installs again after an install that was cut off', async () => {
    const project = await fakeProject()
    await project.write('node_modules/a/package.json', '{}')

    await project.launch('start').ended

    expect((await project.calls())[0]).toMatch('npm ci')
  })

  it('builds again when a source has changed', async () => {
    const project = await fakeProject()
    await project.launch('start').ended
    await project.forget()
    const soon = new Date(Date.now() + 5_000)
    await utimes(join(project.root, 'src/server.ts'), soon, soon)

    await project.launch('start').ended

    expect(await project.calls()).toEqual(['node bin/bundle.mjs', 'node --max-semi-space-size=16 dist/server.js'])
  })

  it('tests in order, and ends with the code of what failed', async () => {
    const project = await fakeProject({ knip: 'exit 3' })

    const code = await project.launch('test').ended

    expect(code).toBe(3)
    expect((await project.calls()).slice(1)).toEqual(['biome check .', 'oxlint', 'tsc -p .', 'knip'])
  })

  it.each([
    [['test', 'test/config.test.ts'], ['vitest run --project !stores test/config.test.ts']],
    [['test:system'], ['vitest run --project system --project stores']],
    [['check'], ['biome check .', 'oxlint', 'tsc -p .', 'knip']],
  ])('runs what is asked for and builds nothing: %j', async (words, calls) => {
    const project = await fakeProject()

    await project.launch(...words).ended

    expect((await project.calls()).slice(1)).toEqual(calls)
  })

  it.each([
    ['SIGTERM', 7, 7],
    ['SIGINT', 0, 0],
    ['SIGTERM', null, 143],
  ] as const)('passes %s on, and ends the way a server does that ends with %s', async (signal, ending, code) => {
    const project = await fakeProject({ node: serverThatEndsWith(signal, ending) })
    const launched = project.launch('start')
    await launched.said('up')

    launched.kill(signal)

    expect(await launched.ended).toBe(code)
  })

  it('knows no other step', async () => {
    const project = await fakeProject()

    expect(await project.launch('constructor').ended).toBe(2)
  })
})

// Without exec a shell stands between npm and the launcher: it dies of a signal to npm and leaves the server behind.
it.each(['start', 'test', 'test:system', 'check', 'build'])(
  'npm run %s becomes the launcher, with no shell in between',
  async (script) => {
    const { scripts } = JSON.parse(await readFile('package.json', 'utf8'))

    expect(scripts[script]).toBe(`exec node bin/launch.mjs ${script}`)
  },
)

const lock = (version: string) =>
  JSON.stringify({ packages: { '': {}, 'node_modules/a': { version }, 'node_modules/b': { version, optional: true } } })

/** A server in the place of the real one; `null` is one that does not listen to the signal. A shell could not listen to one
 * that its own parents ignore, and it gives up by itself, so that no failed test leaves it behind. */
function serverThatEndsWith(signal: NodeJS.Signals, code: number | null): string {
  const listen = code === null ? '' : `process.on('${signal}', () => process.exit(${code}));`
  return `exec ${process.execPath} -e "${listen} setTimeout(() => {}, 20_000); console.log('up')"`
}

/** A project of the launcher and tools that only write down how they were called; `scripts` are what they do then. */
async function fakeProject(scripts: Record<string, string> = {}) {
  const root = await mkdtemp(join(tmpdir(), 'landfall-launch-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  const machine = join(root, 'machine')
  const log = join(root, 'calls')

  async function write(path: string, text: string, mode = 0o644): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
    await chmod(join(root, path), mode)
  }

  const tool = (name: string, script: string) => `#!/bin/sh\necho "${name} $*" >> ${log}\n${script}\n`
  for (const file of ['src/server.ts', 'tsconfig.json', 'bin/bundle.mjs']) await write(file, '')
  await write('package-lock.json', lock('1.0.0'))
  // npm puts the tools in place and then says so, as npm does.
  const install = [
    `cp -r ${root}/tools ${root}/node_modules/.bin`,
    `cp package-lock.json node_modules/.package-lock.json`,
  ]
  await write('machine/npm', tool('npm', ['rm -rf node_modules', 'mkdir node_modules', ...install].join('\n')), 0o755)
  for (const name of ['node', 'tsc', 'biome', 'oxlint', 'knip', 'vitest']) {
    const script = `${name === 'node' ? 'mkdir -p dist\n' : ''}${scripts[name] ?? ''}`
    await write(`tools/${name}`, tool(name, script), 0o755)
  }
  await cp('bin/launch.mjs', join(root, 'bin/launch.mjs'))

  return {
    root,
    write,
    calls: async () => (await readFile(log, 'utf8')).trimEnd().split(/ *\n/),
    forget: () => rm(log),
    launch(...words: string[]) {
      const env = { PATH: `${machine}:/usr/bin:/bin` }
      const child = spawn(process.execPath, [join(root, 'bin/launch.mjs'), ...words], { env, stdio: 'pipe' })
      let heard = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text) => (heard += text))
      const ended = once(child, 'close').then(([code]) => code as number)
      return {
        ended,
        kill: (signal: NodeJS.Signals) => child.kill(signal),
        async said(text: string): Promise<void> {
          let isOver = false
          const over = ended.then(() => (isOver = true))
          while (!heard.includes(text)) {
            if (isOver) throw new Error(`it ended and said: ${heard}`)
            await Promise.race([once(child.stdout, 'data'), over])
          }
        },
      }
    },
  }
}
