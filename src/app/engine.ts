import { randomUUID } from 'node:crypto'
import type { Config } from '../config.ts'
import { createBandwidth } from '../core/body/bandwidth.ts'
import { createEngine } from '../core/create-engine.ts'
import type { RunningEngine } from '../core/engine.ts'
import type { EngineOptions } from '../core/engine-options.ts'
import { createMemoryBudget } from '../core/memory/memory-budget.ts'
import type { ContentCheck } from '../core/policy/content-check.ts'
import { contentRules, creationRules } from '../core/policy/rules/index.ts'
import { newStepsOf } from '../features/steps/configured.ts'
import { sniff, sniffLength } from '../media/sniff.ts'

/** What an engine needs beside the settings. */
export type EngineParts = Pick<
  EngineOptions,
  | 'uploads'
  | 'store'
  | 'locker'
  | 'policies'
  | 'checkCreation'
  | 'confirmStore'
  | 'now'
  | 'authorizer'
  | 'nameObject'
  | 'onError'
> & { inspect?: ContentCheck['inspect'] } & Partial<Pick<EngineOptions, 'budget' | 'gate' | 'onBody'>>

/** The engine with the settings of `config`. */
export function engineOf(config: Config, { inspect, ...parts }: EngineParts): RunningEngine {
  return createEngine({
    budget: createMemoryBudget(config.MEMORY_BUDGET),
    ...parts,
    rules: creationRules,
    contentCheck: config.CONTENT_CHECK ? { sniff, sniffLength, rules: contentRules, inspect } : undefined,
    bandwidth: createBandwidth(config.BANDWIDTH || null),
    keyTemplate: config.KEY_TEMPLATE,
    partSize: config.PART_SIZE,
    chunkSize: config.CHUNK_SIZE,
    partsInFlight: config.PARTS_IN_FLIGHT,
    bodyIdleMs: config.BODY_IDLE_TIMEOUT,
    minSpeed: config.MIN_SPEED,
    bodyTotalMs: config.BODY_TIMEOUT,
    finishWaitMs: config.FINISH_WAIT,
    lossConfirmMs: config.LOSS_CONFIRM,
    deleteGraceMs: config.DELETE_GRACE,
    newSteps: () => newStepsOf(config),
    newId: randomUUID,
  })
}
