import { isUploadError } from '../core/errors/error.ts'

/**
 * Does `work` for every upload that `next` names, page after page, as long as that gets on. An upload that cannot be helped stands in
 * nobody's way: it is tried once, and told when all others are done. Returns for how many `work` was true.
 * @param next the ids that are due now; those for which `work` was true are not among them any more. A page must have room for as
 * many beyond its own as `tried` says: those that were tried and are still among them
 * @throws UploadError DATABASE_ERROR at once, because then it would fail for all; AggregateError of what went wrong
 */
export async function processInPages(
  next: (tried: number) => Promise<string[]>,
  work: (id: string) => Promise<boolean>,
): Promise<number> {
  const tried = new Set<string>()
  const faults: unknown[] = []
  let done = 0
  for (;;) {
    const page = (await next(tried.size - done)).filter((id) => !tried.has(id))
    if (page.length === 0) break
    for (const id of page) {
      tried.add(id)
      try {
        if (await work(id)) done += 1
      } catch (error) {
        if (isUploadError(error, 'DATABASE_ERROR')) throw error
        faults.push(error)
      }
    }
  }
  if (faults.length > 0) throw new AggregateError(faults, `${faults.length} uploads could not be looked after`)
  return done
}
