import type { z } from 'zod'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { Finding } from './finding.ts'

/** Counts the requests of a store, where it sends any: those that a library sends once, when they have ended, others at each attempt. */
export interface StoreWatch {
  onRequest?(operation: string, code: string): void
}

/** All that the server knows of a kind of store. It is declared beside the store and listed in `index.ts`. */
export interface StoreKind<Shape extends z.ZodRawShape = z.ZodRawShape> {
  /** The heading of its settings in `.env.example`. */
  title: string
  settings: Shape
  /** The settings that must be given when it is chosen, by what is given. */
  required?(given: Record<string, string | undefined>): string[]
  /** The smallest size of a part, for the configuration to refuse smaller ones: bytes and the name of who demands it. */
  minPart?: { size: number; of: string }
  /** Sends no request yet: `check()` shows whether the store can be used. */
  open(settings: SettingsOf<Shape>, watch: StoreWatch): ObjectStore
  /** Where the files are, in a few words for operators. */
  describe(settings: SettingsOf<Shape>): string
  /**
   * Tests what uploads need of the store, for `landfall doctor`. It leaves nothing behind and is safe while servers run.
   * @param longestMs the longest time that an upload may take; infinite when there is no limit
   */
  probe(settings: SettingsOf<Shape>, longestMs: number): AsyncGenerator<Finding>
}

type SettingsOf<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>

/** Declares a kind of store; its functions get the values of its own settings. */
export function defineStore<Shape extends z.ZodRawShape>(kind: StoreKind<Shape>): StoreKind<Shape> {
  return kind
}
