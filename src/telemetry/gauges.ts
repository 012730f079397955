import type { MemoryBudget } from '../core/memory/memory-budget.ts'

export interface GaugeSources {
  locker: { held(): number }
  budget: MemoryBudget
  database: { connections(): { open: number; idle: number; waiting: number } }
}

/** Gauges of this process, read at each scrape, by metric name. */
export function gaugesOf({
  locker,
  budget,
  database,
}: GaugeSources): Record<string, { help: string; value: () => number }> {
  const connections = () => database.connections()
  return {
    landfall_leases: { help: 'Leases held by this server: uploads that it is writing to', value: () => locker.held() },
    landfall_buffer_bytes: {
      help: 'Bytes of files buffered in memory before they are stored',
      value: () => budget.used,
    },
    landfall_buffer_limit_bytes: {
      help: 'The most bytes that may be buffered: MEMORY_BUDGET',
      value: () => budget.limit,
    },
    landfall_database_connections: { help: 'Connections to Postgres', value: () => connections().open },
    landfall_database_connections_idle: { help: 'Idle connections to Postgres', value: () => connections().idle },
    landfall_database_waiting: {
      help: 'Statements that wait for a connection: DATABASE_POOL is too small, or Postgres too slow',
      value: () => connections().waiting,
    },
  }
}
