/* `npm run dev` in a copy of the project, whose sources are changed while it runs. */
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { runInShell } from './shell.ts'
import { useBrowser } from './web/use-browser.ts'
import { workingCopy } from './working-copy.ts'

const browser = useBrowser({ needsPage: false })

it('npm run dev restarts the server and updates open pages when sources change', async () => {
  const project = await workingCopy()
  await symlink(resolve('node_modules'), join(project, 'node_modules'))
  const env = { PORT: String(await freePort()), DATA_DIR: join(project, 'data') }
  const dev = runInShell('npm run dev', { cwd: project, env })
  const change = async (file: string, from: string, to: string) => {
    const text = await readFile(join(project, file), 'utf8')
    expect(text).toContain(from)
    await writeFile(join(project, file), text.replace(from, to))
  }

  const [, signInLink = ''] = await dev.waitFor(/sign in +(http\S+)/)
  const address = new URL(signInLink).origin
  const stateOf = async () => ((await (await fetch(`${address}/health`)).json()) as { status: string }).status
  expect(await stateOf()).toBe('ok')
  const page = await (await browser().newContext()).newPage()
  page.setDefaultTimeout(60_000)
  await page.goto(signInLink)
  await page.getByText('No uploads yet').waitFor()

  await page.evaluate('window.isTheSameDocument = true')
  await change('src/web/styles/base.css', 'body {', 'body { outline: 7px solid rgb(1, 2, 3);')
  await page.waitForFunction("getComputedStyle(document.body).outlineWidth === '7px'")
  expect(await page.evaluate('window.isTheSameDocument')).toBe(true)

  await change('src/web/upload/uploads-list.tsx', 'No uploads yet', 'No files yet')
  await page.getByText('No files yet').waitFor()

  await change('src/http/health.ts', "status('ok')", "status('changed')")
  await expect.poll(() => stateOf().catch(() => null), { timeout: 100_000 }).toBe('changed')

  await dev.interrupt()
  await expect(stateOf()).rejects.toThrow('fetch failed')
})
