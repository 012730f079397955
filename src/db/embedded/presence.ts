/*
 * How the embedded server knows that it is used, and ends when it is not. Each process that uses it holds a shared advisory lock on
 * a connection of its own, which ends with the process. One session of the server, the watch, tries now and then to take
 * the same lock alone. It runs in the server, so it outlives the process that began it. When it gets the lock ten times in a
 * row, and no other program is connected, it sends the first process of the server the signal for a fast shutdown, and still
 * holds the lock: a process that comes at that moment waits for the lock, is disconnected, and starts the server again.
 */
import type pg from 'pg'

// Any numbers will do, as long as every version uses the same.
const presenceLock = 7_203_115
const watchLock = 7_203_116
const rounds = 10

/** What every session of Landfall calls itself; programs of operators have other names. */
export const applicationName = 'landfall'

// `kill` reads nothing, so nothing is written to it.
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
    commit; -- No snapshot is held over the pause, which would keep vacuum from its work.
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

/** Begins the watch on `client`, which never answers again. It goes on when `client` is cut off, and at once ends where one runs already. */
export function startWatch(client: pg.Client, quietSeconds: number): void {
  client.query(watch(quietSeconds)).catch(() => {})
}

/** Ends the mark of `arrive`, and the server too when it was the last one. Rejects when that ended the connection. */
export async function leaveServer(client: pg.Client): Promise<void> {
  await client.query(leave)
}
