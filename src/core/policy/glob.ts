/**
 * Whether `pattern` matches all of `text`: `*` stands for any run of characters, `?` for one, every other character for itself,
 * case-insensitively. The time is bounded by the product of the two lengths, so no pattern can stall the server.
 */
export function matchesGlob(text: string, pattern: string): boolean {
  const characters = [...text.toLowerCase()]
  const wanted = [...pattern.toLowerCase()]
  let at = 0
  let next = 0
  // Where to resume when a later character does not match: the last star takes one more character.
  let star = -1
  let taken = 0
  while (at < characters.length) {
    if (wanted[next] === '*') {
      star = next
      taken = at
      next += 1
    } else if (next < wanted.length && (wanted[next] === '?' || wanted[next] === characters[at])) {
      at += 1
      next += 1
    } else if (star >= 0) {
      taken += 1
      at = taken
      next = star + 1
    } else return false
  }
  while (wanted[next] === '*') next += 1
  return next === wanted.length
}
