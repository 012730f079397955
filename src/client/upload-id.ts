/** The id in the URL of an upload: its last path segment. */
export function uploadIdOf(url: string): string {
  return url.split(/[?#]/)[0]!.split('/').at(-1)!
}
