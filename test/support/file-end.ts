/*
 * What test files of one process share outlives the file, because their modules are loaded once. What belongs to a file is closed at its
 * end: vitest runs setup-file.ts with every file.
 */
const closers: (() => Promise<void>)[] = []

/** Has `close` called when all tests of this file are over. */
export function onFileFinished(close: () => Promise<void>): void {
  closers.push(close)
}

/** Closes what the file that ends has opened, the newest first. */
export async function finishFile(): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close()
}
