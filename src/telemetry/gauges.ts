import type { MemoryBudget } from '../core/memory/memory-budget.ts'

export interface Gauged {
  feed: { subscribers(): number }
  locker: { held(): number }
  budget: MemoryBudget
  database: { connections(): { open: number; idle: number; waiting: number } }
}

/** What this process holds right now, by the names under which it is told. */
export function gaugesOf({
  locker,
  budget,
  database,
  feed,
}: Gauged): Record<string, { help: string; value: () => number }> {
  const connections = () => database.connections()
  return {
    landfall_leases: { help: 'Uploads that this server may write to right now', value: () => locker.held() },
    landfall_buffer_bytes: { help: 'Bytes of files in memory, on their way to the store', value: () => budget.used },
    landfall_buffer_limit_bytes: { help: 'The most that may be in memory: MEMORY_BUDGET', value: () => budget.limit },
    landfall_event_streams: { help: 'Connections that listen to live events', value: () => feed.subscribers() },
    landfall_database_connections: { help: 'Connections to Postgres', value: () => connections().open },
    landfall_database_connections_idle: { help: 'Connections that nobody uses', value: () => connections().idle },
    landfall_database_waiting: {
      help: 'Statements that wait for a connection: DATABASE_POOL is too small, or Postgres too slow',
      value: () => connections().waiting,
    },
  }
}
