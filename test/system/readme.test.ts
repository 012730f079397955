/*
 * Follows README.md as a new user does: every code block from top to bottom, in a new clone, with the Node of this machine.
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
  expect([drawing?.text.includes('main.ts'), others]).toEqual([true, []])
  const computer = await newComputer()

  const server = computer.paste(clone!.text, { in: '.' })
  await server.waitFor(/Landfall is up/)
  expect((await fetch(computer.address)).status).toBe(200)

  await computer.save('send/send.mjs', sample!.text)
  await cp('test/samples/video.mp4', join(computer.home, 'send/holiday.mp4'))
  expect(await done(computer.paste(send!.text, { in: 'send' }))).toMatch(/^completed$/m)

  const answers = await done(computer.paste(curl!.text, { in: 'landfall' }))
  expect(answers).toContain('201 Created')
  expect(answers).toMatch(/"filename":"hello.txt".*"state":"completed"/)
  expect(answers).toMatch(/"filename":"holiday.mp4".*"state":"completed"/)

  const commands = tests!.text.trim().split('\n')
  const outcomes = commands.map((line) => [line, outcomeOf[line.replace(/ *#.*/, '')]] as const)
  expect(outcomes.filter(([, outcome]) => !outcome)).toEqual([])
  for (const [line, outcome] of outcomes) await outcome!((more) => computer.paste(line, { in: 'landfall', ...more }))
})

type Paste = (more?: { env: Record<string, string> }) => ShellRun

/** What the commands of "Test it" must do. Those that take minutes are stopped once their tests have started. */
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
    const [, page = ''] = await run.waitFor(/page +(http\S+)/)
    expect(await (await fetch(page)).text()).toContain('/@vite/client')
    await run.interrupt()
  },
  'npm run test:system': stopOnce(/ RUN /),
}

function stopOnce(output: RegExp) {
  return async (paste: Paste): Promise<void> => {
    const run = paste()
    await run.waitFor(output)
    await run.interrupt()
  }
}

/** The output of a run, once it has ended with success. */
async function done(run: ShellRun): Promise<string> {
  expect(await run.ended, run.output()).toBe(0)
  return run.output()
}

/** A folder with a repository to clone, the packages that a sample needs, and a free port instead of 1080. */
async function newComputer() {
  const repository = await workingCopy()
  const home = join(dirname(repository), 'home')
  const port = String(await freePort())
  const address = `http://localhost:${port}`
  const adapt = (text: string) =>
    text.replaceAll('<this repository>', repository).replaceAll('http://localhost:1080', address)
  await mkdir(join(home, 'send'), { recursive: true })
  // Instead of `npm i`, so that the sample runs with the tested version of its package.
  await symlink(resolve('node_modules'), join(home, 'send/node_modules'))
  return {
    home,
    address,
    save: (path: string, text: string) => writeFile(join(home, path), adapt(text)),
    paste: (text: string, { in: folder, env }: { in: string; env?: Record<string, string> }) =>
      runInShell(adapt(text).replace(/^npm i .*$/m, ''), { cwd: join(home, folder), env: { PORT: port, ...env } }),
  }
}
