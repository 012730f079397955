import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path/posix'
import { describe, expect, it } from 'vitest'
import { arrowsUp, circles, floorOf } from '../tools/structure/layers.ts'
import { importsIn } from './support/imports.ts'

interface Rule {
  /** The folders and files of src/ that it may import besides itself. */
  from: string[]
  /** Packages, and `node:` for the modules of Node. A name with a trailing slash stands for a whole scope. */
  packages: string[]
}

const framework = ['fastify', 'fastify-plugin', '@fastify/', 'zod']

/** The allowed imports of each module, as drawn in ARCHITECTURE.md; everything else is forbidden. */
const rules: Record<string, Rule> = {
  core: { from: [], packages: ['node:'] },
  // The schemas of the JSON API, for server, client and pages.
  contract: { from: [], packages: ['zod'] },
  stores: { from: ['core'], packages: ['node:', 'zod', '@aws-sdk/', 'aws4'] },
  scanners: { from: ['core'], packages: ['node:'] },
  media: { from: ['core'], packages: ['node:', 'file-type'] },
  http: { from: ['core', 'contract'], packages: ['node:', ...framework, 'jose', 'pino', 'structured-headers'] },
  telemetry: { from: ['core'], packages: ['node:', ...framework, 'prom-client', '@opentelemetry/'] },
  async: { from: ['core'], packages: ['node:'] },
  db: { from: ['core'], packages: ['node:', 'drizzle-orm', 'pg'] },
  policies: { from: ['core', 'db/open.ts'], packages: ['node:', 'zod', 'drizzle-orm'] },
  locks: { from: ['core', 'db'], packages: ['node:', 'drizzle-orm'] },
  jobs: { from: ['core', 'async', 'db'], packages: ['node:', 'drizzle-orm', 'pg-boss'] },
  'protocols/*': {
    from: ['core', 'contract', 'http'],
    packages: ['node:', ...framework, '@tus/server', 'mime-types'],
  },
  'features/*': {
    from: [
      'features/feature.ts',
      'features/hooks.ts',
      'core',
      'contract',
      'http',
      'policies',
      'scanners',
      'db/open.ts',
      'db/schema.ts',
      'db/statement.ts',
      'db/in-progress.ts',
      'db/usage.ts',
      'db/uploads/being-written.ts',
      'jobs/queue.ts',
      'jobs/outbox.ts',
    ],
    packages: ['node:', ...framework, 'drizzle-orm', 'ipaddr.js'],
  },
  client: { from: ['contract', 'core/errors/error.ts'], packages: ['tus-js-client'] },
  web: { from: ['client', 'contract', 'core/errors/error.ts'], packages: ['*'] },
  config: {
    from: [
      'stores/index.ts',
      'policies/schema.ts',
      'core/policy/policy.ts',
      'core/object-key.ts',
      'core/size.ts',
      'core/units.ts',
      'http/identity/issuer.ts',
      'scanners/address.ts',
    ],
    packages: ['node:', 'zod'],
  },
  // The registry of the features.
  'features/index.ts': { from: ['features'], packages: [] },
  // The process and its wiring: they may import everything, and no other module may import them.
  top: { from: ['*'], packages: ['*'] },
}

/** The only file with an import that is not a literal: it loads the module that HOOKS names. */
const importsDynamically = 'features/operator-hooks/load.ts'

const files = globSync('src/**/*.{ts,tsx}').map((path) => path.slice('src/'.length))

describe('the modules', () => {
  it('import only what their rule allows', () => {
    const violations = files.flatMap((file) => violationsOf(file, readFileSync(join('src', file), 'utf8')))

    expect(violations).toEqual([])
  })

  it('all have a rule', () => {
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter((file) => !ruleOf(moduleOf(file)))).toEqual([])
  })
})

describe('the contract', () => {
  // The pages check no answer, and zod would be the largest part of what a browser loads.
  it('is imported by the pages and their client as types, and as lists without zod', () => {
    const ofPages = files.filter((file) => /^(web|client)\//.test(file))
    const loaded = ofPages.flatMap((file) => valuesOfContract(file, readFileSync(join('src', file), 'utf8')))

    expect(ofPages.length).toBeGreaterThan(50)
    expect(loaded.length).toBeGreaterThan(0)
    expect(loaded.filter((path) => loadsPackages(path))).toEqual([])
  })

  it.each([
    ["import { scopes } from '../contract/scopes.ts'", ['src/contract/scopes.ts']],
    ["import { apiKeys, type ApiKeys } from '../contract/keys.ts'", ['src/contract/keys.ts']],
    ["export { me } from '../contract/me.ts'", ['src/contract/me.ts']],
    ["import type { ApiKeys } from '../contract/keys.ts'", []],
    ["import { type ApiKeys } from '../contract/keys.ts'", []],
    ["let keys: import('../contract/keys.ts').ApiKeys", []],
  ])('is loaded by %s as %s', (code, loaded) => {
    expect(valuesOfContract('client/sample.ts', code)).toEqual(loaded)
  })
})

/** The files of the contract that the browser loads for `code`, the file `file` of src/. */
function valuesOfContract(file: string, code: string): string[] {
  return importsIn(code, file)
    .filter(({ from, isType }) => !isType && from?.startsWith('.'))
    .map(({ from }) => normalize(join('src', dirname(file), from!)))
    .filter((path) => path.startsWith('src/contract/'))
}

function loadsPackages(path: string): boolean {
  return importsIn(readFileSync(path, 'utf8'), path).some(({ isType }) => !isType)
}

describe('the pages', () => {
  it('share what is in ui, and import nothing of each other', () => {
    const shared = files.filter((file) => file.startsWith('web/ui/'))
    const others: Record<string, RegExp> = {
      upload: /^web\/admin\//,
      admin: /^web\/upload\//,
      ui: /^web\/(upload|admin)\//,
    }
    const foreign = Object.entries(others).flatMap(([page, other]) =>
      files
        .filter((file) => file.startsWith(`web/${page}/`))
        .flatMap((file) =>
          importsIn(readFileSync(join('src', file), 'utf8'), file)
            .map(({ from }) => normalize(join(dirname(file), from ?? '')))
            .filter((target) => other.test(target))
            .map((target) => `${file} -> ${target}`),
        ),
    )

    expect(shared.length).toBeGreaterThan(10)
    expect(foreign).toEqual([])
  })
})

describe('the floors of core', () => {
  const core = new Map(globSync('src/core/**/*.ts').map((path) => [path, readFileSync(path, 'utf8')]))

  it('import only downwards', () => {
    expect(core.size).toBeGreaterThan(60)
    expect(arrowsUp(core)).toEqual([])
  })

  it('have a place for every file', () => {
    expect([...core.keys()].filter((path) => floorOf(path.slice('src/core/'.length)) === -1)).toEqual([])
  })

  it('have no circles', () => {
    expect(circles(core)).toEqual([])
  })

  it('show an import that runs up, and a circle', () => {
    const sample = new Map([
      ['src/core/upload.ts', "import { append } from './receive/append.ts'"],
      ['src/core/receive/append.ts', "import { uploadPart } from './upload-part.ts'"],
      ['src/core/receive/upload-part.ts', "import { append } from './append.ts'"],
    ])

    expect(arrowsUp(sample)).toEqual(['src/core/upload.ts -> src/core/receive/append.ts'])
    expect(circles(sample)).toEqual([['src/core/receive/append.ts', 'src/core/receive/upload-part.ts']])
  })
})

describe('the state of an upload', () => {
  it('is written in the folder of its transitions only', () => {
    const writers = globSync('src/core/**/*.ts').filter((path) =>
      /\.save\(\{[^}]*\bstate\b/.test(readFileSync(path, 'utf8')),
    )

    expect(writers.length).toBeGreaterThan(2)
    expect(writers.filter((path) => !path.startsWith('src/core/transitions/'))).toEqual([])
  })
})

describe('the path of bytes to S3', () => {
  // Temporary files would survive crashes and fill disks.
  it('uses no disk', () => {
    const onThePath = files.filter((file) => file.startsWith('core/') || file.startsWith('stores/s3/'))
    const imports = onThePath.flatMap((file) => importsIn(readFileSync(join('src', file), 'utf8'), file))

    expect(imports.length).toBeGreaterThan(100)
    expect(imports.filter(({ from }) => /^node:(fs|os|child_process)\b/.test(from ?? ''))).toEqual([])
  })
})

/** Test files that may wait for a time, and why; all others wait for an event, or for a condition with `until`. */
const mayWait: Record<string, string> = {
  'support/until.ts': 'between two checks',
  'support/fault-proxy.ts': 'a slow connection, and phases with faults',
  'support/s3/serve.ts': 'a store that answers late',
  'support/url-session.ts': 'a client that stops in the middle of a body',
  'core/model/faulty-node.ts': 'a node that is paused for longer than its leases',
  'core/model/run.ts': 'the timeout of a response',
  'core/body/bandwidth.test.ts': 'bodies with a clock that the test controls',
  'launch.test.ts': 'a program that keeps running, as text',
  'system/journeys/abuse.test.ts': 'clients that trickle and stall for a minute',
  'system/faults/bodies.test.ts': 'a body that trickles',
  'system/faults/slow-store.test.ts': 'a store that needs 110 seconds for a file',
  'system/faults/nginx.test.ts': 'an idle connection behind a proxy',
  'system/faults/rolling-restart.test.ts': 'clients between their requests',
  'system/faults/dependencies.test.ts': 'outages that end one after the other',
  'system/web/page.test.ts': 'answers that come late',
  'system/web/uppy.test.ts': 'a connection that is cut in the middle',
  'system/web/busy-server.ts': 'progress at a visible rate',
}

describe('tests', () => {
  const waiting = globSync('test/**/*.ts')
    .map((path) => path.slice('test/'.length))
    .filter((path) => path !== 'architecture.test.ts' && waits(readFileSync(join('test', path), 'utf8')))

  it('wait for events and conditions, not for a time', () => {
    expect(waiting.filter((path) => !Object.hasOwn(mayWait, path))).toEqual([])
  })

  it('that may wait for a time still do', () => {
    expect(Object.keys(mayWait).filter((path) => !waiting.includes(path))).toEqual([])
  })

  it.each([
    ['await new Promise((resolve) => setTimeout(resolve, 100))', true],
    ["import { setTimeout as sleep } from 'node:timers/promises'", true],
    ["import { setInterval } from 'node:timers/promises'", true],
    ["import timers from 'node:timers/promises'", true],
    ["import { setImmediate as nextTurn } from 'node:timers/promises'", false],
    ['await vi.waitFor(isSo)', true],
    ["vi.useFakeTimers({ toFake: ['setTimeout'] })", false],
    ['socket.setTimeout(0)', false],
  ])('are detected to wait for a time: %s, %s', (code, isDetected) => {
    expect(waits(code)).toBe(isDetected)
  })
})

/**
 * Whether `code` waits for a time, or for a condition with the one-second timeout of vitest, which a busy machine exceeds. A quoted name
 * belongs to a fake clock, and the timeout of a socket is not a timer.
 */
function waits(code: string): boolean {
  const imported = [...code.matchAll(/import (.*?) from 'node:timers\/promises'/g)].map(([, names]) => names!)
  return (
    /(?<!['.\w])setTimeout\b|\bvi\.wait(For|Until)\b/.test(code) ||
    imported.some((names) => !/^\{ setImmediate( as \w+)? \}$/.test(names))
  )
}

describe('the reader of imports', () => {
  it.each([
    ["import { serve } from '../server/serve.ts'"],
    ["import type { App } from '../app/app.ts'"],
    ["import { type App } from '../app.ts'"],
    ["import '../main.ts'"],
    ["export { buildApp } from '../app.ts'"],
    ["export * from '../app.ts'"],
    ["export type { App } from '../app.ts'"],
    ["const { buildApp } = await import('../app.ts')"],
    ["let app: import('../app.ts').App"],
    ["type App = typeof import('../app.ts')"],
    ["const app = require('../app.ts')"],
    ["const name = '../app.ts'; const app = await import(name)"],
    ["import { openDatabase } from '../db/open.ts'"],
    ["import { Readable } from 'stream'"],
    ["import fastify from 'fastify'"],
  ])('finds that core must not have %s', (code) => {
    expect(violationsOf('core/sample.ts', code)).toHaveLength(1)
  })

  it.each([
    ['protocols/tus/plugin.ts', "import { rufhPlugin } from '../rufh/plugin.ts'"],
    ['features/usage/rule.ts', "import { share } from '../sharing/plugin.ts'"],
    ['features/usage/rule.ts', "import { uploadRepository } from '../../db/uploads.ts'"],
    ['contract/me.ts', "import { userOf } from '../core/upload.ts'"],
    ['contract/me.ts', "import { Buffer } from 'node:buffer'"],
    ['core/engine.ts', "import { me } from '../contract/me.ts'"],
    ['web/upload/main.tsx', "import { loadConfig } from '../../config.ts'"],
    ['http/identity/auth.ts', "import { loadConfig } from '../../config.ts'"],
    ['http/identity/auth.ts', "import { size } from '../../config/values.ts'"],
    ['config.ts', "import { createEngine } from './core/create-engine.ts'"],
    ['db/open.ts', "import { helper } from '../../test/support/helper.ts'"],
    ['stores/s3.ts', "import knex from 'knex'"],
  ])('finds that %s must not have %s', (file, code) => {
    expect(violationsOf(file, code)).toHaveLength(1)
  })

  it.each([
    ['core/engine.ts', "import { UploadError } from './errors.ts'; import { Readable } from 'node:stream'"],
    ['protocols/tus/plugin.ts', "import type { Engine } from '../../core/engine.ts'; import './answers.ts'"],
    ['config.ts', "import { size } from './config/values.ts'"],
    ['cli/program.ts', "import { buildApp } from '../app.ts'"],
    ['db/open.ts', "// import '../app.ts'\nconst text = \"import '../app.ts'\""],
  ])('allows %s to have %s', (file, code) => {
    expect(violationsOf(file, code)).toEqual([])
  })
})

/** The forbidden imports of `code` as the file `file` of src/. */
function violationsOf(file: string, code: string): string[] {
  const module = moduleOf(file)
  const { from, packages } = ruleOf(module) ?? { from: [], packages: [] }
  return importsIn(code, file)
    .filter(({ from: source }) => {
      if (source === null) return file !== importsDynamically
      if (!source.startsWith('.')) return !packages.some((name) => coversPackage(name, source))
      const target = normalize(join(dirname(file), source))
      return target.startsWith('../') || !(moduleOf(target) === module || from.some((part) => coversFile(part, target)))
    })
    .map(
      ({ from: source, line }) =>
        `${file}:${line} (${module}) may not import ${source ?? 'a path that is not a literal'}`,
    )
}

/** A folder of src/ is a module; so is each protocol and each feature, and `config.ts` with its folder. */
function moduleOf(file: string): string {
  const [folder = '', inner] = file.split('/')
  if (inner === undefined || ['cli', 'app', 'server', 'embed', 'testing'].includes(folder))
    return folder === 'config.ts' ? 'config' : 'top'
  return folder === 'protocols' || folder === 'features' ? `${folder}/${inner}` : folder
}

function ruleOf(module: string): Rule | undefined {
  return rules[module] ?? rules[module.replace(/\/.*/, '/*')]
}

function coversFile(part: string, target: string): boolean {
  return part === '*' || target === part || target.startsWith(`${part}/`)
}

function coversPackage(name: string, source: string): boolean {
  if (name === '*') return true
  return name.endsWith(':') || name.endsWith('/')
    ? source.startsWith(name)
    : source === name || source.startsWith(`${name}/`)
}
