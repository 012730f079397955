import { type RandomFile, randomFile } from '../../../test/support/random-file.ts'

/** One upload as its client knows it: what it was told, and may hold against the server. */
export interface Entry {
  /** The file; several uploads of it may exist, when an answer was lost or the store lost one. */
  name: string
  file: RandomFile
  url: string
  id: string
  /** The highest offset that an answer has named. */
  acknowledged: number
  /** Bytes that were ever offered: an offset beyond them was made up. */
  offered: number
  /** What the client was told in the end. */
  end: 'open' | 'whole' | 'lost' | 'cancelled' | 'abandoned'
}

/** What all clients were told, and what was wrong with it. */
export interface Ledger {
  entries: Entry[]
  files: Map<string, RandomFile>
  violations: string[]
  counts: Record<string, number>
  count(what: string): void
  complain(what: string): void
  /** The file that `name` names: the same in every life of a round. */
  file(name: string, size: number): RandomFile
  open(name: string, url: string): Entry
}

/** An empty ledger of the round that `seed` names. */
export function openLedger(seed: string): Ledger {
  const counts: Record<string, number> = {}
  const ledger: Ledger = {
    entries: [],
    files: new Map(),
    violations: [],
    counts,
    count(what) {
      counts[what] = (counts[what] ?? 0) + 1
    },
    complain(what) {
      ledger.violations.push(what)
    },
    file(name, size) {
      const file = randomFile(`${seed}/${name}`, size)
      ledger.files.set(name, file)
      return file
    },
    open(name, url) {
      const entry: Entry = {
        name,
        file: ledger.files.get(name)!,
        url,
        id: url.slice(url.lastIndexOf('/') + 1),
        acknowledged: 0,
        offered: 0,
        end: 'open',
      }
      ledger.entries.push(entry)
      return entry
    },
  }
  return ledger
}

/** Notes an offset that the server has named, and what it thereby contradicts. */
export function noteOffset(ledger: Ledger, entry: Entry, offset: number, where: string): void {
  if (offset < entry.acknowledged) {
    ledger.complain(`${entry.id}: ${where} says ${offset} after ${entry.acknowledged} were acknowledged`)
  }
  if (offset > entry.offered) ledger.complain(`${entry.id}: ${where} says ${offset}, but ${entry.offered} were offered`)
  entry.acknowledged = Math.max(entry.acknowledged, offset)
}
