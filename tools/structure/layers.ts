import { dirname, join, normalize } from 'node:path/posix'
import { importsIn } from '../../test/support/imports.ts'

/** The floors of `core`, the lowest first: a file imports its own floor and those below. A folder, or one file. */
export const coreFloors: string[][] = [
  [
    'units.ts',
    'crc32.ts',
    'size.ts',
    'within.ts',
    'fair-share.ts',
    'turns.ts',
    'errors',
    'upload.ts',
    'upload-state.ts',
    'content.ts',
    'stored-file.ts',
    'tail-keys.ts',
    'background.ts',
  ],
  ['media', 'object-key.ts', 'events.ts', 'audit.ts'],
  ['policy', 'access'],
  ['ports', 'pairing', 'lease.ts', 'file-digest.ts', 'orphan-ledger.ts'],
  ['body', 'memory'],
  ['engine-context.ts'],
  ['parts'],
  ['transitions'],
  ['create', 'receive', 'finish', 'concatenation', 'read'],
  ['engine.ts', 'engine-options.ts', 'create-engine.ts'],
]

/** The floor of a file of core, by its path within it; -1: it has none. */
export function floorOf(path: string): number {
  const isIn = (part: string) => path === part || path.startsWith(`${part}/`)
  const exact = coreFloors.findIndex((floor) => floor.some((part) => path === part))
  return exact === -1 ? coreFloors.findIndex((floor) => floor.some(isIn)) : exact
}

/** Imports within core that run up, as `file -> imported`. */
export function arrowsUp(files: Map<string, string>): string[] {
  const found: string[] = []
  for (const [file, code] of files) {
    if (!file.startsWith('src/core/')) continue
    for (const target of targetsOf(file, code)) {
      if (!target.startsWith('src/core/')) continue
      const own = floorOf(file.slice('src/core/'.length))
      const other = floorOf(target.slice('src/core/'.length))
      if (other > own) found.push(`${file} -> ${target}`)
    }
  }
  return found
}

/** Files that import each other, directly or through others: one list for each circle. Imports of types count. */
export function circles(files: Map<string, string>): string[][] {
  const edges = new Map([...files].map(([file, code]) => [file, targetsOf(file, code).filter((to) => files.has(to))]))
  const found: string[][] = []
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  for (const file of files.keys()) if (!index.has(file)) connect(file)
  return found

  /** Tarjan's strongly connected components. */
  function connect(file: string): void {
    index.set(file, index.size)
    low.set(file, index.get(file)!)
    stack.push(file)
    for (const to of edges.get(file) ?? []) {
      if (!index.has(to)) connect(to)
      if (stack.includes(to)) low.set(file, Math.min(low.get(file)!, low.get(to)!))
    }
    if (low.get(file) !== index.get(file)) return
    const circle = stack.splice(stack.indexOf(file))
    if (circle.length > 1) found.push(circle)
  }
}

function targetsOf(file: string, code: string): string[] {
  return importsIn(code, file)
    .map(({ from }) => from)
    .filter((from): from is string => from?.startsWith('.') ?? false)
    .map((from) => normalize(join(dirname(file), from)))
}
