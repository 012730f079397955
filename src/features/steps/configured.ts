import type { NewStep } from '../../core/content.ts'
import type { ScannerAddress } from '../../scanners/address.ts'
import { openScanner, withinLimit } from '../../scanners/index.ts'
import { scanStep } from './scan.ts'
import type { Step } from './step.ts'

export interface StepSettings {
  SCANNER?: ScannerAddress | undefined
  /** Bytes. */
  SCANNER_MAX_SIZE: number
  /** Milliseconds. */
  SCANNER_TIMEOUT: number
  ON_UNSCANNED: 'hold' | 'release'
}

/** The steps that the settings ask for. */
export function configuredSteps({ SCANNER, SCANNER_MAX_SIZE, SCANNER_TIMEOUT, ON_UNSCANNED }: StepSettings): Step[] {
  if (SCANNER === undefined) return []
  const scanner = withinLimit(openScanner(SCANNER), SCANNER_MAX_SIZE)
  return [scanStep({ scanner, onUnscanned: ON_UNSCANNED, timeoutMs: SCANNER_TIMEOUT })]
}

/** What follows the completion of an upload. Whatever completes one, a server or a command, has to write these. */
export function newStepsOf(settings: StepSettings): NewStep[] {
  return configuredSteps(settings).map(({ name, version, isBlocking }) => ({ name, version, isBlocking }))
}
