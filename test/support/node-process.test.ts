import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type NodeProcess, type NodeProcessOptions, startNodeProcess } from './node-process.ts'

const smallServer = `
import { createServer } from 'node:http'
if (process.env.BROKEN) { console.error('no setting for this'); process.exit(2) }
const server = createServer((request, response) => response.end(JSON.stringify(process.env)))
server.listen(Number(process.env.PORT), process.env.HOST)
console.log(JSON.stringify({ msg: 'started', mark: process.env.MARK }))
process.on('SIGTERM', () => { console.log('going'); process.exit(7) })
`

async function start(options: NodeProcessOptions = {}): Promise<NodeProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'node-process-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const script = join(directory, 'server.mjs')
  await writeFile(script, smallServer)
  const node = await startNodeProcess({ script, ...options })
  onTestFinished(() => node.kill())
  return node
}

async function environmentOf(node: NodeProcess): Promise<Record<string, string>> {
  return (await fetch(node.url)).json() as Promise<Record<string, string>>
}

describe('a process under test', () => {
  it('has its own environment without the variables of the tests', async () => {
    const node = await start({ environment: { MARK: 'one' } })

    const environment = await environmentOf(node)

    expect(environment).toMatchObject({ MARK: 'one', HOST: '127.0.0.1', PORT: String(node.port) })
    expect(environment).not.toHaveProperty('VITEST')
  })

  it('is killed and started again on the same port, with one log', async () => {
    const node = await start({ environment: { MARK: 'one' } })
    const before = node.pid()

    await node.kill()
    await expect(fetch(node.url)).rejects.toThrow()
    await node.start({ MARK: 'two' })

    expect(node.pid()).not.toBe(before)
    expect(await environmentOf(node)).toMatchObject({ MARK: 'two', PORT: String(node.port) })
    expect(node.records().map((record) => record.mark)).toEqual(['one', 'two'])
  })

  it('answers no request while it is paused', async () => {
    const node = await start()

    node.pause()
    await expect(fetch(node.url, { signal: AbortSignal.timeout(300) })).rejects.toThrow('timeout')
    node.resume()

    expect(await environmentOf(node)).toHaveProperty('PORT')
  })

  it('stops on SIGTERM and returns its exit code', async () => {
    const node = await start()

    expect(await node.stop()).toBe(7)
    await node.untilLogged('going')
  })

  it('fails to start with an error that has its output', async () => {
    await expect(start({ environment: { BROKEN: '1' } })).rejects.toThrow('no setting for this')
  })
})
