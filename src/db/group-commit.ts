/*
 * Commits statements of several requests together. Statements that change the same row, such as the usage of one user, would otherwise
 * wait for each other: Postgres keeps the lock of a row until the commit is on the disk, so eight uploads of one user took eight times as
 * long as one. While a transaction of a group runs, further statements of the group wait, and then share the next transaction: one lock,
 * one commit and one write to the disk for all of them. Leases that one user's requests take at the same time share commits as well.
 */
import type pg from 'pg'
import type { Row, Statement } from './open.ts'

/** Runs a statement together with those of the same group that wait at the same time; it is committed when this resolves. */
export type RunInGroup = (group: string, statement: Statement, values: unknown[]) => Promise<Row[]>

interface Member {
  statement: Statement
  values: unknown[]
  resolve(rows: Row[]): void
  reject(error: unknown): void
}

// The lock of the row is held while the statements of a transaction run, each less than a millisecond.
const maxMembers = 32

/**
 * The groups of the database behind `pool`, whose clients must send statements without waiting for the answers of earlier ones
 * (`pipeline`). @param runAlone runs one statement in a transaction of its own
 */
export function groupCommit(
  pool: pg.Pool,
  runAlone: (statement: Statement, values: unknown[]) => Promise<Row[]>,
): RunInGroup {
  const waiting = new Map<string, Member[]>()

  async function commitInTurn(group: string): Promise<void> {
    const members = waiting.get(group)!
    while (members.length > 0) await commit(members.splice(0, maxMembers))
    waiting.delete(group)
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

  return (group, statement, values) =>
    new Promise((resolve, reject) => {
      const member = { statement, values, resolve, reject }
      const members = waiting.get(group)
      if (members) return void members.push(member)
      waiting.set(group, [member])
      void commitInTurn(group)
    })
}

/**
 * The rows of each member, once all are committed; `null` when Postgres has rolled all of them back.
 * @throws the driver's error when it is not known whether they were committed
 */
async function runTogether(pool: pg.Pool, members: Member[]): Promise<Row[][] | null> {
  const client = await pool.connect()
  // Without a listener the loss of the connection would end the process; the statements report it.
  const ignore = () => {}
  client.on('error', ignore)
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
    client.off('error', ignore)
    client.release(isBroken)
  }
}
