/* How many processes a server runs: its workers. */
import { availableParallelism, totalmem } from 'node:os'
import type { Settings } from './settings.ts'

/** What the machine, or the container, has. */
export interface Machine {
  cores: number
  /** Bytes. */
  memory: number
}

const MiB = 1024 ** 2
// A process with its share of the budget and a thousand slow uploads stays below this.
const memoryOfProcess = 512 * MiB
const budgetOfProcess = 224 * MiB
// Below these a worker would wait for its own requests.
const leastBudget = 16 * MiB
const leastConnections = 2

/** This machine. The memory limit of a container counts; without one Node returns 0 or a huge number. */
export function thisMachine(): Machine {
  const memory = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
  return { cores: availableParallelism(), memory }
}

interface WorkerSettings extends Pick<Settings, 'WORKERS' | 'DATABASE_POOL' | 'MEMORY_BUDGET'> {
  isDevelopment: boolean
}

/** The number of processes that WORKERS means on `machine`. */
export function countWorkers(
  { WORKERS, DATABASE_POOL, MEMORY_BUDGET, isDevelopment }: WorkerSettings,
  machine = thisMachine(),
): number {
  const wanted = WORKERS ?? (isDevelopment ? 1 : 'auto')
  if (wanted !== 'auto') return wanted
  const byMemory = Math.floor(machine.memory / memoryOfProcess)
  const byPool = Math.floor(DATABASE_POOL / leastConnections)
  const byBudget = Math.floor((MEMORY_BUDGET ?? Number.POSITIVE_INFINITY) / leastBudget)
  return Math.max(1, Math.min(machine.cores, byMemory, byPool, byBudget))
}

/** The default of MEMORY_BUDGET in bytes, for all `workers` together. */
export function defaultBudget(workers: number, machine = thisMachine()): number {
  return Math.min(Math.floor(machine.memory / 4), budgetOfProcess * workers)
}
