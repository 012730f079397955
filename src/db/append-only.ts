const tables = ['audit_log', 'policy_versions']

/**
 * SQL that creates triggers by which Postgres refuses to change or delete rows of the audit log and the policy versions. Only a
 * transaction with `set local landfall.retention = 'on'` may delete: the one that removes rows past their retention. It runs after
 * every migration, because drizzle's migrations have no triggers. Existing triggers are kept: creating one would make the start of a
 * server wait for running writes.
 */
export const guardAppendOnly = `
  create or replace function landfall_append_only() returns trigger language plpgsql as $body$
  begin
    if tg_op = 'DELETE' and current_setting('landfall.retention', true) = 'on' then return old; end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
  end $body$;
  ${tables.map(guard).join('\n')}`

function guard(table: string): string {
  return `do $body$ begin
    if not exists (select from pg_trigger where tgname = '${table}_append_only' and tgrelid = '${table}'::regclass) then
      create trigger ${table}_append_only before update or delete on ${table}
        for each row execute function landfall_append_only();
      create trigger ${table}_no_truncate before truncate on ${table}
        for each statement execute function landfall_append_only();
    end if;
  end $body$;`
}
