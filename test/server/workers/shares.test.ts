import { describe, expect, it } from 'vitest'
import { countWorkers, defaultBudget } from '../../../src/config/workers.ts'
import { loadConfig } from '../../../src/config.ts'
import { settingsOfWorker } from '../../../src/server/workers/shares.ts'

const GiB = 1024 ** 3
const large = { cores: 4, memory: 64 * GiB }
const production = { WORKERS: undefined, DATABASE_POOL: 10, MEMORY_BUDGET: undefined, isDevelopment: false } as const

describe('WORKERS', () => {
  it('is one in development mode, and a process a core in production', () => {
    expect(countWorkers({ ...production, isDevelopment: true }, large)).toBe(1)
    expect(countWorkers(production, large)).toBe(4)
    expect(countWorkers({ ...production, isDevelopment: true, WORKERS: 'auto' }, large)).toBe(4)
  })

  it.each([
    ['memory', { cores: 8, memory: GiB }, 10, 2],
    ['connections', { cores: 64, memory: 64 * GiB }, 10, 5],
    ['connections', { cores: 64, memory: 64 * GiB }, 1, 1],
    ['cores', { cores: 1, memory: 64 * GiB }, 100, 1],
    ['memory', { cores: 2, memory: GiB / 8 }, 10, 1],
  ])('auto is no more than the %s of the machine allow: %j', (_, machine, DATABASE_POOL, expected) => {
    expect(countWorkers({ ...production, WORKERS: 'auto', DATABASE_POOL }, machine)).toBe(expected)
  })

  it('auto is no more than a small memory budget allows', () => {
    expect(countWorkers({ ...production, MEMORY_BUDGET: 40 * 1024 ** 2 }, large)).toBe(2)
    expect(countWorkers({ ...production, MEMORY_BUDGET: 1024 ** 2 }, large)).toBe(1)
  })

  it('is a number when it is given as one', () => {
    expect(loadConfig({ WORKERS: '3' }).WORKERS).toBe(3)
    for (const word of ['0', '257', '1.5', 'all', '-1']) expect(() => loadConfig({ WORKERS: word })).toThrow(/WORKERS/)
  })

  it('needs a connection and a MiB for each worker', () => {
    expect(() => loadConfig({ WORKERS: '4', DATABASE_POOL: '3' })).toThrow(/DATABASE_POOL: .* each of 4 WORKERS/)
    expect(() => loadConfig({ WORKERS: '4', MEMORY_BUDGET: '3MiB' })).toThrow(/MEMORY_BUDGET: .* each of 4 WORKERS/)
  })

  it('gives every worker a memory budget of its own, within a quarter of the machine', () => {
    expect(defaultBudget(1, large)).toBe(224 * 1024 ** 2)
    expect(defaultBudget(4, large)).toBe(4 * 224 * 1024 ** 2)
    expect(defaultBudget(4, { cores: 4, memory: 2 * GiB })).toBe(GiB / 2)
  })
})

describe('the limits of a server', () => {
  const config = loadConfig({
    WORKERS: '3',
    MEMORY_BUDGET: '100MiB',
    REQUESTS_AT_ONCE: '100',
    BODIES_AT_ONCE: '50',
    CONNECTIONS_AT_ONCE: '200',
    CONNECTIONS_PER_ADDRESS: '20',
    BANDWIDTH: '10MiB',
  })
  const workers = [1, 2, 3].map((number) => settingsOfWorker(config, { number, of: 3 }))

  it.each([
    'MEMORY_BUDGET',
    'DATABASE_POOL',
    'REQUESTS_AT_ONCE',
    'BODIES_AT_ONCE',
    'CONNECTIONS_AT_ONCE',
    'CONNECTIONS_PER_ADDRESS',
    'BANDWIDTH',
  ] as const)('are shared out over its workers: %s', (name) => {
    const shares = workers.map((worker) => worker[name]!)

    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(config[name])
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
  })

  it('stay none where there is none, and leave each worker at least one', () => {
    const few = loadConfig({ WORKERS: '3', BANDWIDTH: '0', BODIES_AT_ONCE: '1' })

    expect(settingsOfWorker(few, { number: 3, of: 3 })).toMatchObject({ BANDWIDTH: 0, BODIES_AT_ONCE: 1, worker: 3 })
  })
})
