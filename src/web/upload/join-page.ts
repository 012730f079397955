import type { ListedUpload, UploadsPage } from '../../client/api.ts'

/**
 * The list `known` (newest first, read up to `next`) after its first page was read anew: what is on the page replaces what was
 * known, what is older stays. When the two do not meet, too much is new to know what lies between, and the list ends with the page.
 */
export function joinPage(known: ListedUpload[], page: UploadsPage, next: string | null): UploadsPage {
  const oldest = page.uploads.at(-1)
  if (!oldest || page.next === null) return page
  const at = known.findIndex(({ id }) => id === oldest.id)
  if (at >= 0)
    return { uploads: [...page.uploads, ...known.slice(at + 1)], next: at + 1 < known.length ? next : page.next }
  return page
}
