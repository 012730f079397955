/*
 * The test files of one process share their modules, so the state of a module outlives a file. Resources of one file are closed at its
 * end: vitest runs setup-file.ts with every file.
 */
const closers: (() => Promise<void>)[] = []

/** Calls `close` after all tests of this file. */
export function onFileFinished(close: () => Promise<void>): void {
  closers.push(close)
}

/** Closes the resources of the file that ends, the newest first. */
export async function finishFile(): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close()
}
