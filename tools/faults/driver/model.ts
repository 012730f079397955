import { type RandomFile, randomFile } from '../../../test/support/random-file.ts'

/** One upload as its client knows it, by the answers of the server. */
export interface Entry {
  /** The name of the file. It has several uploads when an answer was lost or the store lost one. */
  name: string
  file: RandomFile
  url: string
  id: string
  /** The highest offset that was answered. */
  acknowledged: number
  /** The end of the bytes that were sent: an offset beyond it is wrong. */
  sent: number
  /** How it ended for the client. */
  end: 'open' | 'complete' | 'lost' | 'cancelled' | 'abandoned'
}

/** What all clients were answered, and the violations found. */
export interface Model {
  entries: Entry[]
  files: Map<string, RandomFile>
  violations: string[]
  counts: Record<string, number>
  count(what: string): void
  report(what: string): void
  /** The file of this name: the same whenever the round is repeated. */
  file(name: string, size: number): RandomFile
  open(name: string, url: string): Entry
}

/** Opens an empty model for the round of `seed`. */
export function openModel(seed: string): Model {
  const counts: Record<string, number> = {}
  const model: Model = {
    entries: [],
    files: new Map(),
    violations: [],
    counts,
    count(what) {
      counts[what] = (counts[what] ?? 0) + 1
    },
    report(what) {
      model.violations.push(what)
    },
    file(name, size) {
      const file = randomFile(`${seed}/${name}`, size)
      model.files.set(name, file)
      return file
    },
    open(name, url) {
      const entry: Entry = {
        name,
        file: model.files.get(name)!,
        url,
        id: url.slice(url.lastIndexOf('/') + 1),
        acknowledged: 0,
        sent: 0,
        end: 'open',
      }
      model.entries.push(entry)
      return entry
    },
  }
  return model
}

/** Records an offset that the server answered, and reports what it contradicts. */
export function noteOffset(model: Model, entry: Entry, offset: number, where: string): void {
  if (offset < entry.acknowledged) {
    model.report(`${entry.id}: ${where} answers offset ${offset} after ${entry.acknowledged} was acknowledged`)
  }
  if (offset > entry.sent)
    model.report(`${entry.id}: ${where} answers offset ${offset}, but only ${entry.sent} bytes were sent`)
  entry.acknowledged = Math.max(entry.acknowledged, offset)
}
