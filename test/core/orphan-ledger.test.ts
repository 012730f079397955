import { describe, expect, it } from 'vitest'
import { OrphanLedger } from '../../src/core/orphan-ledger.ts'
import { ObjectExists } from '../../src/core/ports/object-store.ts'
import type { UploadPatch } from '../../src/core/ports/uploads.ts'
import type { UploadRecord } from '../../src/core/upload.ts'

type Row = Pick<UploadRecord, 'key' | 'state' | 'tail' | 'multipartId' | 'needsCleanup'>

const tailOf = (...keys: string[]) => keys.map((key) => ({ key, size: 1 }))
const lostAnswer = new Error('the answer was lost')

/** A ledger of an upload whose tail is `named`, and what happens to it, each step one word and its object. */
function ledgerOf(row: Partial<Row> = {}) {
  const tail = tailOf('named')
  const current: Row = { key: 'file', state: 'receiving', tail, multipartId: null, needsCleanup: false, ...row }
  const ledger = new OrphanLedger(current)
  const save = async (patch: UploadPatch, isLost = false) => {
    await ledger
      .saving(patch, async () => {
        if (isLost) throw lostAnswer
        Object.assign(current, patch)
      })
      .catch(() => {})
  }
  const write = (key: string, error?: Error) =>
    ledger.writing(key, () => (error ? Promise.reject(error) : Promise.resolve())).catch(() => {})
  const create = (isAmbiguous = false) =>
    ledger.creating('file', async (onAmbiguousCreate) => {
      if (isAmbiguous) onAmbiguousCreate()
      return 'id'
    })
  return { ledger, save, write, create }
}

/** What happens, one word a step. */
const steps: Record<string, (opened: ReturnType<typeof ledgerOf>) => unknown> = {
  write: ({ write }) => write('new'),
  'write lost': ({ write }) => write('new', lostAnswer),
  'write refused': ({ write }) => write('new', new ObjectExists('other bytes')),
  'name both': ({ save }) => save({ tail: tailOf('named', 'new') }),
  'name new': ({ save }) => save({ tail: tailOf('new') }),
  'name new lost': ({ save }) => save({ tail: tailOf('new') }, true),
  'name none': ({ save }) => save({ tail: [] }),
  'name none lost': ({ save }) => save({ tail: [] }, true),
  'save size': ({ save }) => save({ size: 3 }),
  'save size lost': ({ save }) => save({ size: 3 }, true),
  'drop new': ({ ledger }) => ledger.drop(['new']),
  'drop named': ({ ledger }) => ledger.drop(['named']),
  remove: ({ ledger }) => ledger.removed(ledger.takeDropped()),
  'remove fails': ({ ledger }) => ledger.takeDropped(),
  create: ({ create }) => create(),
  'create twice': ({ create }) => create(true),
  'name multipart': ({ save }) => save({ multipartId: 'id' }),
  'write file': ({ write }) => write('file'),
  complete: ({ save }) => save({ state: 'completed', tail: [] }),
  'complete lost': ({ save }) => save({ state: 'completed', tail: [] }, true),
  fail: ({ save }) => save({ state: 'failed' }),
}

describe('the ledger of orphaned objects', () => {
  it.each([
    // A tail object that is written, and named or not.
    ['', 'empty', []],
    ['write', 'search', []],
    ['write, name both', 'empty', []],
    ['write, name new', 'named', ['named']],
    ['write, name new, remove', 'empty', []],
    ['write, name new, remove fails', 'named', []],
    ['write, drop new', 'new', ['new']],
    ['write, drop new, remove', 'empty', []],
    ['write, drop new, name none, remove', 'empty', []],
    // An object that the row names is not dropped before a save has ended that.
    ['drop named', 'empty', []],
    ['drop named, name none', 'named', ['named']],
    // A write whose answer was lost leaves an entry, though the object is removed.
    ['write lost', 'search', ['new']],
    ['write lost, remove', 'search', []],
    ['write lost, save size', 'search', ['new']],
    ['write refused', 'empty', []],
    // A save whose answer was lost: neither the object before it nor that after it may be removed.
    ['write, name new lost', 'search', []],
    ['write, name new lost, drop new', 'search', []],
    ['name none lost', 'search', []],
    ['name none lost, name none', 'named', ['named']],
    ['save size lost', 'empty', []],
    // Multipart uploads.
    ['create', 'search', []],
    ['create, save size', 'search', []],
    ['create, name multipart', 'empty', []],
    ['create twice, name multipart', 'search', []],
    ['create, name multipart, fail', 'search', ['named']],
    ['create, name multipart, complete', 'named', ['named']],
    // The file itself.
    ['write file', 'search', []],
    ['write file, complete', 'named', ['named']],
    ['write file, complete, remove', 'empty', []],
    ['write file, complete lost', 'search', []],
    ['write file, fail', 'search', ['named']],
    ['complete, remove, fail', 'search', []],
  ])('%s: %s', async (what, left, dropped) => {
    const opened = ledgerOf()
    for (const step of what.split(', ').filter(Boolean)) await steps[step]!(opened)

    const { ledger } = opened
    const keys = ledger.exactKeys()
    expect(ledger.isEmpty ? 'empty' : keys === null ? 'search' : keys.join()).toBe(left)
    expect(ledger.takeDropped()).toEqual(dropped)
  })

  it.each([
    ['', { tail: tailOf('named') }, false],
    ['', { size: 3 }, false],
    ['', { tail: [] }, true],
    ['write', { size: 3 }, true],
    ['write', { tail: tailOf('named', 'new') }, false],
    ['write', { tail: tailOf('new') }, true],
    ['write lost', { tail: tailOf('named') }, true],
    ['create', { size: 3 }, true],
    ['create', { multipartId: 'id' }, false],
    ['create twice', { multipartId: 'id' }, true],
    ['create, name multipart', { state: 'cancelled' }, true],
    ['create, name multipart', { state: 'completed', tail: tailOf('named') }, true],
    ['name none, remove, create, name multipart', { state: 'completed' }, false],
    ['name none, remove, write file', { state: 'completed' }, false],
    ['name none, remove, write file', { state: 'failed' }, true],
  ] as const)('after "%s", a save of %j leaves entries: %s', async (what, patch, leaves) => {
    const opened = ledgerOf()
    for (const step of what.split(', ').filter(Boolean)) await steps[step]!(opened)

    expect(opened.ledger.hasEntriesAfter(patch as UploadPatch)).toBe(leaves)
  })

  it('knows a multipart upload that no row names', async () => {
    const { ledger, create, save } = ledgerOf()
    await create()

    const before = ledger.mayHaveMultipart('file')
    await save({ multipartId: 'id' })

    expect([before, ledger.mayHaveMultipart('file'), ledger.mayHaveMultipart('other')]).toEqual([true, false, false])
  })

  it('has an entry while the store is writing', async () => {
    const { ledger } = ledgerOf()
    const put = Promise.withResolvers<void>()

    const writing = ledger.writing('new', () => put.promise)
    const isEmpty = ledger.isEmpty
    ledger.drop(['new'])
    put.resolve()
    await writing

    expect([isEmpty, ledger.takeDropped()]).toEqual([false, []])
  })

  it('does not have all that an earlier lease left', async () => {
    const { ledger, save } = ledgerOf({ needsCleanup: true })

    await save({ tail: [] })

    expect([ledger.exactKeys(), ledger.takeDropped()]).toEqual([null, ['named']])
  })

  it('enters an object that was found in the store', async () => {
    const { ledger, save } = ledgerOf({ tail: [] })

    ledger.found('file')
    const isEmpty = ledger.isEmpty
    await save({ state: 'completed' })

    expect([isEmpty, ledger.isEmpty]).toEqual([false, true])
  })
})
