/*
 * Commits statements of several requests together. Statements that change the same row, such as the usage of one user, would otherwise
 * wait for each other: Postgres keeps the lock of a row until the commit is on the disk, so eight uploads of one user took eight times as
 * long as one. While two transactions of a group run, further statements of the group wait, and then share the next one: one lock, one
 * commit and one write to the disk for all of them. Leases that one user's requests take at the same time share commits as well.
 */
import type pg from 'pg'
import type { Row, Statement } from './statement.ts'

/** Runs a statement together with those of the same group that wait at the same time; it is committed when this resolves. */
export type RunInGroup = (group: string, statement: Statement, values: unknown[]) => Promise<Row[]>

interface Member {
  statement: Statement
  values: unknown[]
  resolve(rows: Row[]): void
  reject(error: unknown): void
}

interface Group {
  running: number
  waiting: Member[]
}

// The lock of the row is held while the statements of a transaction run, each less than a millisecond.
const maxMembers = 32
// While one transaction is written to the disk, Postgres has the next one already and need not wait for this process.
const mostAtOnce = 2

/**
 * The groups of the database behind `pool`, whose clients must send statements without waiting for the answers of earlier ones
 * (`pipeline`). @param runAlone runs one statement in a transaction of its own
 */
export function groupCommit(
  pool: pg.Pool,
  runAlone: (statement: Statement, values: unknown[]) => Promise<Row[]>,
): RunInGroup {
  const groups = new Map<string, Group>()

  function startNext(group: Group, name: string): void {
    if (group.running === 0 && group.waiting.length === 0) groups.delete(name)
    if (group.running === mostAtOnce || group.waiting.length === 0) return
    group.running += 1
    void commit(group.waiting.splice(0, maxMembers)).then(() => {
      group.running -= 1
      startNext(group, name)
    })
  }

  async function commit(members: Member[]): Promise<void> {
    const [only] = members
    if (members.length === 1) return runAlone(only!.statement, only!.values).then(only!.resolve, only!.reject)
    try {
      const rows = await runTogether(pool, members)
      for (const [index, { resolve }] of members.entries()) if (rows) resolve(rows[index]!)
      // Nothing was committed, because of one of them: each shows by itself whether it can run.
      if (!rows) await Promise.all(members.map((member) => commit([member])))
    } catch (error) {
      for (const { reject } of members) reject(error)
    }
  }

  return (name, statement, values) =>
    new Promise((resolve, reject) => {
      const group = groups.get(name) ?? { running: 0, waiting: [] }
      groups.set(name, group)
      group.waiting.push({ statement, values, resolve, reject })
      startNext(group, name)
    })
}

/**
 * The rows of each member, once all are committed; `null` when Postgres has rolled all of them back.
 * @throws the driver's error when it is not known whether they were committed
 */
async function runTogether(pool: pg.Pool, members: Member[]): Promise<Row[][] | null> {
  const client = await pool.connect()
  let isBroken = true
  try {
    const began = client.query('begin')
    const ran = members.map(({ statement, values }) => client.query<Row>({ ...statement, values }))
    const ended = client.query('commit')
    // An error of a statement shows in the answer to the commit, which is then a rollback.
    const [answers, { command }] = await Promise.all([Promise.allSettled([began, ...ran]), ended])
    isBroken = command !== 'COMMIT'
    if (isBroken) return null
    return answers.slice(1).map((answer) => (answer as PromiseFulfilledResult<pg.QueryResult<Row>>).value.rows)
  } finally {
    client.release(isBroken)
  }
}
