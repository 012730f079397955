/*
 * How the embedded server detects that it is not used, and ends. Each process that uses it holds a shared advisory lock on a
 * connection of its own, which ends with the process. One backend of the server, the watch, periodically tries to acquire the same lock
 * exclusively. It runs in the server, so it outlives the process that started it. When it acquires the lock ten times in a row and no
 * other program is connected, it sends the postmaster the signal for a fast shutdown and keeps the lock: a process that connects at
 * that moment waits for the lock, is disconnected, and starts the server again.
 */
import type pg from 'pg'

// Arbitrary numbers that every version must share.
const presenceLock = 7_203_115
const watchLock = 7_203_116
const rounds = 10

/** The application_name of every connection of Landfall; the programs of operators have other names. */
export const applicationName = 'landfall'

// The empty query: `kill` does not read its input.
const shutDown = `execute format('copy (select 1 where false) to program %L', 'kill -INT ' || split_part(pg_read_file('postmaster.pid'), E'\\n', 1));`
const hasUsers = `exists (select from pg_stat_activity where backend_type = 'client backend' and application_name not like '${applicationName}%')`

const watch = (quietSeconds: number) => `do $$
declare quiet int := 0;
begin
  if not pg_try_advisory_lock(${watchLock}) then return; end if;
  loop
    perform pg_sleep(${quietSeconds / rounds});
    if not pg_try_advisory_lock(${presenceLock}) then
      quiet := 0;
    else
      quiet := case when ${hasUsers} then 0 else quiet + 1 end;
      if quiet >= ${rounds} then ${shutDown} perform pg_sleep(60); end if;
      perform pg_advisory_unlock(${presenceLock});
    end if;
    commit; -- A snapshot held over the pause would keep vacuum from removing rows.
  end loop;
end $$`

const leave = `do $$
begin
  perform pg_advisory_unlock_shared(${presenceLock});
  if pg_try_advisory_lock(${presenceLock}) and not ${hasUsers} then ${shutDown} perform pg_sleep(60); end if;
end $$`

const isWatched = `select count(*)::int as count from pg_locks
  where locktype = 'advisory' and objid = ${watchLock} and granted and database = (select oid from pg_database where datname = current_database())`

/** Marks the server as used for as long as `client` is connected. */
export async function joinServer(client: pg.Client): Promise<void> {
  await client.query('select pg_advisory_lock_shared($1)', [presenceLock])
}

/** Whether the watch runs. */
export async function watchRuns(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ count: number }>(isWatched)
  return rows[0]!.count > 0
}

/** Starts the watch on `client`, whose query never returns. The watch keeps running when `client` disconnects; a second one ends at once. */
export function startWatch(client: pg.Client, quietSeconds: number): void {
  client.query(watch(quietSeconds)).catch(() => {})
}

/** Undoes `joinServer`, and ends the server when `client` was the last to use it. Rejects when that closed the connection. */
export async function leaveServer(client: pg.Client): Promise<void> {
  await client.query(leave)
}
