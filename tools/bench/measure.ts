import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../test/support/free-port.ts'
import { headersOf } from '../../test/support/tus-file.ts'
import { type Case, scaled } from './cases.ts'
import { budgetOfWorkers, launchOf, metricsToken } from './contestants.ts'
import type { Job, Outcome, Work } from './load/serve.ts'
import type { ContestantKind, Plan } from './plan.ts'
import type { Cost } from './probe.ts'
import { type Child, start } from './processes.ts'
import type { S3End } from './s3-end.ts'

/** The figures of one round. Absent: not measured in this case. */
export interface Figures {
  mbPerSecond?: number
  filesPerSecond?: number
  cpuPerGiB?: number
  cpuPerFileMs?: number
  peakRssMb?: number
  loopP99Ms?: number
  p50Ms?: number
  p95Ms?: number
  diskMb?: number
  s3Mb?: number
  startMs?: number
  slowestMs?: number
  failed?: number
  requests?: Record<string, number>
  /** Errors of slow uploads, by how often they occurred. */
  failures?: Record<string, number>
}

const MB = 1e6
const GiB = 1024 ** 3
const probe = fileURLToPath(new URL('./probe.ts', import.meta.url))
const load = fileURLToPath(new URL('./load/serve.ts', import.meta.url))

/** Measures one case on one server, in new processes. */
export async function measure(kind: ContestantKind, testCase: Case, end: S3End, plan: Plan): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-bench-'))
  const config = await launchOf(kind, testCase, end.target(testCase.isTls ?? false), directory, plan)
  const port = await freePort()
  const { authorization } = await headersOf()
  const token = authorization!.replace('Bearer ', '')
  const launch = () =>
    start<'start' | 'report', Cost>({
      script: config.script,
      cwd: directory,
      node: plan.node,
      nodeFlags: [
        ...(config.nodeFlags ?? []),
        '--import',
        probe,
        ...(plan.profile ? profiling(plan.profile, `${testCase.name}-${kind}`) : []),
      ],
      environment: { ...config.environment, ...end.trust(), TMPDIR: directory, HOST: '127.0.0.1', PORT: String(port) },
    })
  let server = launch()
  try {
    await end.configure({ latencyMs: 0, bandwidth: 0 })
    await untilReady(port, token, server)
    if (kind === 'workers') await untilAllListen(port)
    if (!testCase.isColdStart) return await atWork(testCase, plan, end, server, { port, token })
    // The first start also creates the tables: only the second one is measured.
    await server.kill()
    const startedAt = performance.now()
    server = launch()
    await untilReady(port, token, server)
    const startMs = performance.now() - startedAt
    return { startMs, peakRssMb: (await server.ask('report')).peakRss / MB }
  } finally {
    if (testCase.isEmbedded) await server.stop()
    else await (plan.profile ? server.leave() : server.kill())
    await config.dispose()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function atWork(
  testCase: Case,
  plan: Plan,
  end: S3End,
  server: Child<'start' | 'report', Cost>,
  address: { port: number; token: string },
): Promise<Figures> {
  const clients = start<Job, Outcome | { error: string }>({ script: load })
  const perform = async (work: Work): Promise<Outcome> => {
    const outcome = await clients.ask({ ...address, work })
    if ('error' in outcome) throw new Error(outcome.error)
    return outcome
  }
  try {
    const { slow, ...fast } = testCase.work
    // Warms up compilation and connections, which are not part of the measurement.
    await perform(scaled({ ...fast, files: Math.max(fast.files, slow ? 20 : 1) }, 1 / 16))
    await end.configure({ latencyMs: testCase.latencyMs ?? 0, bandwidth: testCase.bandwidth ?? 0, forget: true })
    await server.ask('start')
    const outcome = await perform(scaled(testCase.work, plan.scale))
    const cost = await server.ask('report')
    const counts = await end.configure({})
    return figuresOf(outcome, cost, counts)
  } finally {
    await clients.kill()
  }
}

function figuresOf(
  { bytes, files, ms, latencies, slow }: Outcome,
  cost: Cost,
  counts: { requests: Record<string, number>; bytes: number } | null,
): Figures {
  const sorted = [...latencies].sort((a, b) => a - b)
  const figures: Figures = {
    peakRssMb: cost.peakRss / MB,
    loopP99Ms: cost.p99Ms,
    p50Ms: at(sorted, 0.5),
    p95Ms: at(sorted, 0.95),
    diskMb: cost.diskBytes / MB,
    ...(counts ? { requests: counts.requests, s3Mb: counts.bytes / MB } : {}),
  }
  if (slow) return { ...figures, slowestMs: slow.slowestMs, failed: slow.failed, failures: slow.failures }
  return {
    ...figures,
    mbPerSecond: bytes / MB / (ms / 1000),
    filesPerSecond: files / (ms / 1000),
    cpuPerGiB: cost.cpuSeconds / (bytes / GiB),
    cpuPerFileMs: (cost.cpuSeconds / files) * 1000,
  }
}

function at(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function profiling(folder: string, name: string): string[] {
  return ['--cpu-prof', '--cpu-prof-dir', resolve(folder), '--cpu-prof-name', `${name}-${Date.now()}.cpuprofile`]
}

/** Waits until the server has created an upload. */
async function untilReady(port: number, token: string, server: Child<unknown, unknown>): Promise<void> {
  const deadline = performance.now() + 60_000
  const ended = server.first<never>()
  ended.catch(() => {})
  for (;;) {
    const created = await fetch(`http://127.0.0.1:${port}/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'tus-resumable': '1.0.0', 'upload-length': '1' },
    }).catch(() => null)
    if (created?.status === 201) return
    if (created) throw new Error(`the first creation was answered with ${created.status}`)
    if (performance.now() > deadline) throw new Error('the server does not answer')
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2))])
  }
}

/** Waits until both workers answer requests. */
async function untilAllListen(port: number): Promise<void> {
  const headers = { authorization: `Bearer ${metricsToken}` }
  const deadline = performance.now() + 60_000
  for (;;) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text()
    if (text.includes(`\nlandfall_buffer_limit_bytes ${budgetOfWorkers}\n`)) return
    if (performance.now() > deadline) throw new Error('a worker does not listen')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
