import { globSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { expect, it } from 'vitest'
import { importsIn } from './support/imports.ts'

interface Entry {
  version?: string
  optionalDependencies?: Record<string, string>
}

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Entry> }
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>

it('every dependency is pinned to one version', () => {
  const required = Object.entries({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.devDependencies,
  })

  expect(required.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
  for (const [name, version] of required) expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version)
})

// Without them `npm ci` refuses the lock file on every platform; npm sometimes drops them. `node bin/complete-lock.mjs` adds them.
it('package-lock.json has the optional packages of every platform', () => {
  const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([, version]) => /^\d/.test(version))
      .map(([name]) => name)
      .filter((name) => !lock.packages[`${path}/node_modules/${name}`] && !lock.packages[`node_modules/${name}`]),
  )

  expect(missing).toEqual([])
})

it('package-lock.json names no registry', () => {
  expect(Object.values(lock.packages).filter((entry) => 'resolved' in entry)).toEqual([])
})

// `npm start` builds the server and the pages in an install without development packages.
it('the sources import no development packages', () => {
  const files = globSync('src/**/*.{ts,tsx}')
  const packages = files.flatMap((file) =>
    importsIn(readFileSync(file, 'utf8'), file).flatMap(({ from }) =>
      from === null || from.startsWith('.') || isBuiltin(from)
        ? []
        : [from.split('/', from.startsWith('@') ? 2 : 1).join('/')],
    ),
  )

  expect(packages.length).toBeGreaterThan(20)
  expect([...new Set(packages)].filter((name) => !(name in manifest['dependencies']!))).toEqual([])
})
