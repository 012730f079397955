import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { importsIn } from './support/imports.ts'

const compose = readFileSync('docker/compose.yaml', 'utf8')
const cluster = readFileSync('docker/compose.cluster.yaml', 'utf8')
const script = resolve('docker/secrets.sh')
const prometheus = readFileSync('docker/prometheus/prometheus.yml', 'utf8')

/** The text of each service, by its name. */
function servicesOf(file: string): Record<string, string> {
  const services = file.split(/^services:\n/m)[1]?.split(/^\S/m)[0] ?? ''
  const names = [...services.matchAll(/^ {2}([\w-]+):\n/gm)]
  return Object.fromEntries(
    names.map((match, index) => [match[1]!, services.slice(match.index, names[index + 1]?.index)]),
  )
}

describe('the compose files', () => {
  it('take every secret from docker/.env, and do not start without it', () => {
    const variables = [...`${compose}${cluster}`.matchAll(/\$\{(\w+)([^}]*)\}/g)]

    expect(variables.length).toBeGreaterThan(5)
    expect(variables.filter(([, , rest]) => !rest?.startsWith(':?'))).toEqual([])
  })

  it('pin every image to an exact version', () => {
    const images = [...`${compose}${cluster}`.matchAll(/^ +image: (\S+)$/gm)].map(([, image]) => image)

    expect(images).toHaveLength(6)
    expect(images.filter((image) => !/:v?\d+\.\d+(\.\d+)?$/.test(image!))).toEqual([])
  })

  it('limit the memory and the log of every service', () => {
    const own = { ...servicesOf(compose), nginx: servicesOf(cluster).nginx! }

    expect(Object.keys(own)).toEqual(['server', 'postgres', 's3', 'prometheus', 'grafana', 'nginx'])
    for (const text of Object.values(own)) expect(text).toMatch(/mem_limit: [\s\S]*logging:/)
  })

  it('mount files that exist, and volumes that are declared', () => {
    const mounted = [...`${compose}${cluster}`.matchAll(/^ +- (\.?[\w./-]+):\/\S+$/gm)].map(([, source]) => source!)
    const declared = [...(compose.split(/^volumes:\n/m)[1] ?? '').matchAll(/^ {2}([\w-]+):$/gm)].map(([, name]) => name)

    expect(mounted.length).toBeGreaterThan(8)
    const isThere = (source: string) =>
      source.startsWith('.') ? existsSync(join('docker', source)) : declared.includes(source)
    expect(mounted.filter((source) => !isThere(source))).toEqual([])
  })

  it('point Prometheus to the metrics port of every server', () => {
    const [, name] = /names: \[(\S+)\]/.exec(prometheus) ?? []
    const [, port] = /port: (\d+)/.exec(prometheus) ?? []

    expect(servicesOf(compose).server).toContain(`aliases: [${name}]`)
    expect(servicesOf(compose).server).toContain(`METRICS_PORT: "${port}"`)
  })
})

describe('the Dockerfile', () => {
  const lines = readFileSync('docker/Dockerfile', 'utf8').split('\n')
  const ignored = readFileSync('.dockerignore', 'utf8').split('\n')
  /** What each COPY from the clone copies, in the stage with this index. */
  const copiedIn = (stage: number) => {
    const starts = lines.flatMap((line, at) => (line.startsWith('FROM ') ? [at] : []))
    const copies = lines.slice(starts[stage], starts[stage + 1]).filter((line) => /^COPY (?!--from)/.test(line))
    return copies.flatMap((line) => line.split(' ').slice(1, -1))
  }

  it('copies what exists, and what .dockerignore does not hide', () => {
    const copied = [...copiedIn(0), ...copiedIn(1)]

    expect(copied.length).toBeGreaterThan(8)
    expect(copied.filter((path) => !existsSync(path))).toEqual([])
    // Everything is hidden that is not listed.
    expect(ignored[0]).toBe('**')
    expect(copied.filter((path) => !ignored.includes(`!${path.split('/')[0]}`))).toEqual([])
  })

  it('copies every file that the command of the image imports', () => {
    const found = new Set(['bin/landfall.mjs'])
    for (const path of found)
      for (const { from } of importsIn(readFileSync(path, 'utf8'), path))
        if (from?.startsWith('.')) found.add(join(dirname(path), from))

    expect(found.size).toBeGreaterThan(2)
    expect(copiedIn(1)).toEqual(expect.arrayContaining([...found]))
  })
})

describe('docker/secrets.sh', () => {
  it('writes every secret that compose.yaml needs, and keeps existing ones', () => {
    const folder = mkdtempSync(join(tmpdir(), 'landfall-secrets-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, '.env')
    const needed = new Set([...compose.matchAll(/\$\{(\w+)/g)].map(([, name]) => name))

    execFileSync('sh', [script, file])
    const written = readFileSync(file, 'utf8')
    execFileSync('sh', [script, file])

    const names = [...written.matchAll(/^(\w+)=(?:GK)?[0-9a-f]{24,64}$/gm)].map(([, name]) => name)
    expect(new Set(names)).toEqual(needed)
    expect(readFileSync(file, 'utf8')).toBe(written)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })
})
