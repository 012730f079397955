import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../src/core/upload.ts'
import { watchBodies } from './support/arrival.ts'
import { startFaultProxy } from './support/fault-proxy.ts'
import { filmOf } from './support/film.ts'
import { ada } from './support/open-engine.ts'
import { replayTrace } from './support/replay-trace.ts'
import { testApp } from './support/test-app.ts'
import { until } from './support/until.ts'

const page = readFileSync('docs/clients.md', 'utf8')
const MiB = 1024 ** 2

interface Block {
  /** The heading above it. */
  title: string
  language: string
  text: string
}

const blocks: Block[] = page.split(/^## /m).flatMap((section) => {
  const title = section.slice(0, section.indexOf('\n'))
  return [...section.matchAll(/^```([\w ]+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    title,
    language: language!,
    text: text!,
  }))
})

/** The command that runs a program of a language; the file is its last argument. */
const runners: Record<string, { file: string; command: string[] }> = {
  js: { file: 'send.mjs', command: [process.execPath] },
  python: { file: 'send.py', command: ['python3', '-B'] },
}

it('runs or replays every block of docs/clients.md, except code for phones', () => {
  const known = [...Object.keys(runners), 'wire', 'js browser', 'swift', 'kotlin']

  expect(blocks.map(({ language }) => language).filter((language) => !known.includes(language))).toEqual([])
  for (const language of known) expect(blocks.map((block) => block.language)).toContain(language)
})

describe.each(blocks.filter(({ language }) => language in runners))(
  'the program for $title',
  ({ language, text: program }) => {
    it('sends a file through a kill and a broken connection, and hardly a byte twice', async () => {
      const { app, user, run, wire, bytes } = await stage(program, runners[language]!)

      wire.set({ rate: 3 * MiB })
      const first = run()
      await until(() => wire.counts.up > 2 * MiB)
      first.child.kill('SIGKILL')
      await first.output
      const second = run()
      await until(() => wire.counts.up > 4 * MiB)
      wire.cutAll()
      wire.set({})
      const output = await second.output

      expect(output).toContain('arrived')
      const uploads = await app.engine.list(user, { limit: 10 })
      expect(uploads.map(({ state, contentType }) => [state, contentType])).toEqual([['completed', 'video/mp4']])
      expect(app.store.objects.get(uploads[0]!.key)?.equals(bytes)).toBe(true)
      // Only the bytes in flight at a break were sent twice.
      expect(wire.counts.up).toBeLessThan(bytes.length + 1.5 * MiB)
    })

    it('prints the error of the server', async () => {
      const { run } = await stage(program, runners[language]!, 'unknown')

      expect(await run().output).toContain('ROLE_NOT_ALLOWED')
    })
  },
)

describe('the requests of a phone', () => {
  it.each(blocks.filter(({ language }) => language === 'wire'))('$title', async ({ text: trace }) => {
    const app = await testApp()
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const { authorization } = await app.as()
    const file = filmOf(100)

    const id = await replayTrace(trace, {
      port: (app.http.server.address() as AddressInfo).port,
      arrived: watchBodies(app.http.server),
      token: authorization.slice('Bearer '.length),
      file,
    })

    const upload = await app.engine.get(ada, id)
    expect(upload).toMatchObject({ state: 'completed' })
    expect(app.store.objects.get(upload.key)).toEqual(file)
  })
})

/** A server behind a proxy that can break connections, a file to send, and a function that runs the program. */
async function stage(program: string, { file: name, command }: { file: string; command: string[] }, role = 'creator') {
  const user = userOf(randomUUID(), role)
  const app = await testApp({ LOCK_WAIT: '5s' })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const wire = await startFaultProxy(`http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}`)
  const cwd = await mkdtemp(join(tmpdir(), 'landfall-recipe-'))
  const children: ChildProcess[] = []
  onTestFinished(async () => {
    for (const child of children) child.kill('SIGKILL')
    await wire.close()
    await rm(cwd, { recursive: true })
  })
  await symlink(resolve('node_modules'), join(cwd, 'node_modules'))
  await writeFile(join(cwd, name), program)
  const bytes = filmOf(8 * MiB)
  await writeFile(join(cwd, 'holiday.mp4'), bytes)
  const { authorization } = await app.as(user)
  const env = {
    PATH: process.env.PATH,
    LANDFALL: wire.endpoint,
    TOKEN: authorization.slice('Bearer '.length),
    FILE: 'holiday.mp4',
  }

  function run() {
    const [program, ...options] = command
    const child = spawn(program!, [...options, name], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    children.push(child)
    return { child, output: Promise.all([text(child.stdout), text(child.stderr)]).then((both) => both.join('')) }
  }
  return { app, user, run, wire, bytes }
}
