import { describe, expect, it } from 'vitest'
import type { AuditEntry } from '../../../src/core/audit.ts'
import { UploadError } from '../../../src/core/errors.ts'
import { createRefusalLog } from '../../../src/features/audit/refusals.ts'

const refusal = new UploadError('UNAUTHENTICATED', 'This needs a token.')

describe('a flood of refusals', () => {
  it('costs a bounded number of lines, and says how many were not written', async () => {
    const written: AuditEntry[][] = []
    const log = createRefusalLog({ write: async (entries) => void written.push(entries), onFault: fail, most: 10 })

    for (let n = 0; n < 100_000; n += 1) log.note(refused(`10.0.${n % 200}.1`))
    await log.close()

    expect(written).toHaveLength(1)
    expect(written[0]).toHaveLength(11)
    expect(written[0]!.at(-1)).toMatchObject({ action: 'audit.drop', times: 95_000 })
    expect(written[0]!.slice(0, 10).map((entry) => entry.times)).toEqual(Array(10).fill(500))
  })

  it('is written now and then by itself', async () => {
    const written: AuditEntry[][] = []
    const log = createRefusalLog({ write: async (entries) => void written.push(entries), onFault: fail, everyMs: 10 })

    log.note(refused('10.0.0.1'))
    await new Promise((resolve) => setTimeout(resolve, 100))
    log.note(refused('10.0.0.2'))
    await log.close()

    expect(written.map((entries) => entries.length)).toEqual([1, 1])
  })

  it('that cannot be written is reported, and does not stop what comes later', async () => {
    const faults: unknown[] = []
    const written: AuditEntry[][] = []
    const log = createRefusalLog({
      async write(entries) {
        if (faults.length === 0) throw new Error('the database is away')
        written.push(entries)
      },
      onFault: (error) => void faults.push(error),
      everyMs: 10,
    })

    log.note(refused('10.0.0.1'))
    await new Promise((resolve) => setTimeout(resolve, 100))
    log.note(refused('10.0.0.2'))
    await log.close()

    expect(faults).toHaveLength(1)
    expect(written[0]).toMatchObject([{ by: { from: { address: '10.0.0.2' } } }])
  })

  it('does not hold what a client only got wrong', async () => {
    const written: AuditEntry[][] = []
    const log = createRefusalLog({ write: async (entries) => void written.push(entries), onFault: fail })

    log.note({ ...refused('10.0.0.1'), refusal: new UploadError('OFFSET_MISMATCH', 'It goes on elsewhere.') })
    await log.close()

    expect(written).toEqual([[]])
  })
})

function refused(address: string) {
  return { refusal, actor: null, from: { address, agent: null }, uploadId: null }
}

function fail(error: unknown): never {
  throw error
}
