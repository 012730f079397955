/*
 * README.md as a new user follows it: every block from top to bottom, on a clone of its own, with the machine's own Node.
 */
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { runInShell, type ShellRun } from './shell.ts'
import { workingCopy } from './working-copy.ts'

const readme = await readFile('README.md', 'utf8')

it('README.md works from top to bottom by copy and paste', { timeout: 900_000 }, async () => {
  const blocks = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language,
    text: text!,
  }))
  const [clone, sample, send, curl, drawing, tests, ...others] = blocks
  expect(blocks.map(({ language }) => language)).toEqual(['sh', 'js', 'sh', 'sh', '', 'sh'])
  expect([drawing?.text.includes('server.ts'), others]).toEqual([true, []])
  const newcomer = await newComputer()

  const server = newcomer.paste(clone!.text, { in: '.' })
  await server.said(/Landfall is up/)
  expect((await fetch(newcomer.address)).status).toBe(200)

  await newcomer.save('send/send.mjs', sample!.text)
  await cp('test/samples/video.mp4', join(newcomer.home, 'send/holiday.mp4'))
  expect(await done(newcomer.paste(send!.text, { in: 'send' }))).toMatch(/^completed$/m)

  const answers = await done(newcomer.paste(curl!.text, { in: 'landfall' }))
  expect(answers).toContain('201 Created')
  expect(answers).toMatch(/"filename":"hello.txt".*"state":"completed"/)
  expect(answers).toMatch(/"filename":"holiday.mp4".*"state":"completed"/)

  const commands = tests!.text.trim().split('\n')
  const outcomes = commands.map((line) => [line, outcomeOf[line.replace(/ *#.*/, '')]] as const)
  expect(outcomes.filter(([, outcome]) => !outcome)).toEqual([])
  for (const [line, outcome] of outcomes) await outcome!((more) => newcomer.paste(line, { in: 'landfall', ...more }))
})

type Paste = (more?: { env: Record<string, string> }) => ShellRun

/** What the commands of "Test it" must do. Those that run for minutes are stopped once their tests have begun. */
const outcomeOf: Record<string, (paste: Paste) => Promise<void>> = {
  'npm test': stopOnce(/ RUN /),
  'npm test -- test/config.test.ts': async (paste) => {
    expect(await done(paste())).toMatch(/^[1-9]\d* passed, 0 failed/m)
  },
  'npm run check': async (paste) => {
    await done(paste())
  },
  'npm run dev': async (paste) => {
    const run = paste({ env: { PORT: String(await freePort()) } })
    const [, page = ''] = await run.said(/page +(http\S+)/)
    expect(await (await fetch(page)).text()).toContain('/@vite/client')
    await run.interrupt()
  },
  'npm run test:system': stopOnce(/ RUN /),
}

function stopOnce(sign: RegExp) {
  return async (paste: Paste): Promise<void> => {
    const run = paste()
    await run.said(sign)
    await run.interrupt()
  }
}

/** What a run wrote, once it has ended as it should. */
async function done(run: ShellRun): Promise<string> {
  expect(await run.ended, run.heard()).toBe(0)
  return run.heard()
}

/** A folder with a repository to clone from, packages where a sample needs them, and a port that is free in the place of 1080. */
async function newComputer() {
  const repository = await workingCopy()
  const home = join(dirname(repository), 'home')
  const port = String(await freePort())
  const address = `http://localhost:${port}`
  const here = (text: string) =>
    text.replaceAll('<this repository>', repository).replaceAll('http://localhost:1080', address)
  await mkdir(join(home, 'send'), { recursive: true })
  // In the place of what `npm i` brings, so that the version of the sample's package is the one that is tested.
  await symlink(resolve('node_modules'), join(home, 'send/node_modules'))
  return {
    home,
    address,
    save: (path: string, text: string) => writeFile(join(home, path), here(text)),
    paste: (text: string, { in: folder, env }: { in: string; env?: Record<string, string> }) =>
      runInShell(here(text).replace(/^npm i .*$/m, ''), { cwd: join(home, folder), env: { PORT: port, ...env } }),
  }
}
