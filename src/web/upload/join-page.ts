import type { OwnUpload, OwnUploads } from '../../contract/upload.ts'

/**
 * Merges a refreshed first page into the list `known` (newest first, loaded up to `next`): the page replaces the newest uploads, older
 * ones stay. If the page and the list do not overlap, uploads between them may be missing, so the result is the page alone.
 */
export function joinPage(known: OwnUpload[], page: OwnUploads, next: string | null): OwnUploads {
  const oldest = page.uploads.at(-1)
  if (!oldest || page.next === null) return page
  const at = known.findIndex(({ id }) => id === oldest.id)
  if (at >= 0)
    return { uploads: [...page.uploads, ...known.slice(at + 1)], next: at + 1 < known.length ? next : page.next }
  return page
}
