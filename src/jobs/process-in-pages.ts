import { isUploadError } from '../core/errors/error.ts'

/**
 * Runs `work` for every upload that `next` returns, page after page, until a page has no new ids. An upload for which `work` fails is
 * tried once and does not delay the others. Returns for how many uploads `work` returned true.
 * @param next the ids due now, without those for which `work` returned true. `tried` is the number of uploads that were tried and are
 * still due: the page must be larger by that number, so that it still has room for new ids
 * @throws UploadError DATABASE_ERROR at once, because every other upload would fail with it, too; AggregateError of all other errors at
 * the end
 */
export async function processInPages(
  next: (tried: number) => Promise<string[]>,
  work: (id: string) => Promise<boolean>,
): Promise<number> {
  const tried = new Set<string>()
  const failures: unknown[] = []
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
        failures.push(error)
      }
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} uploads could not be processed`)
  return done
}
