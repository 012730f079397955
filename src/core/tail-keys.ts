/** The common prefix of all tail objects. */
export const allTails = '.landfall/tails/'

/** The prefix of the tail objects of upload `id`: a folder of its own, so that all of them can be found. */
export function tailPrefixOf(id: string): string {
  return `${allTails}${id}/`
}

/** A new key for a tail object of upload `id`. */
export function nextTailKey(id: string, newId: () => string): string {
  return tailPrefixOf(id) + newId()
}

/** The upload that a key under the common prefix of all tail objects belongs to. */
export function uploadIdOfTail(key: string): string {
  return key.slice(allTails.length).split('/', 1)[0] ?? ''
}
