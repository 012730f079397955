/** A process that serves. */
export interface Serving {
  /** Resolves when its background work has started too. */
  working: Promise<void>
}
