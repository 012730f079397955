/** The id in the URL of an upload, which is its last name. */
export function uploadIdOf(url: string): string {
  return url.split(/[?#]/)[0]!.split('/').at(-1)!
}
