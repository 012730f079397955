import { describe, expect, it } from 'vitest'
import type { TransferView } from '../../src/client/transfer-view.ts'
import type { OwnUpload } from '../../src/contract/upload.ts'
import { entriesOf, type Group, linesOf, totalsOf } from '../../src/web/upload/items.ts'
import { joinPage } from '../../src/web/upload/join-page.ts'

const none: ReadonlySet<string> = new Set()

describe('the list of uploads', () => {
  it('shows a transfer and its upload on the server once', () => {
    const entries = entriesOf([transfer('t1', { url: 'https://host/upload/files/one' })], [listed('one', 5)], none)

    expect(entries).toMatchObject([{ kind: 'item', id: 'one', transfer: { id: 't1' }, upload: { id: 'one' } }])
  })

  it('shows the newest first, from this page or from the server', () => {
    const entries = entriesOf([transfer('t1', { addedAt: 20 })], [listed('new', 30), listed('old', 10)], none)

    expect(entries.map(({ key }) => key)).toEqual(['new', 't1', 'old'])
  })

  it('shows a folder, or files added together, as one line that unfolds', () => {
    const batch = { batch: 'b' }
    const inFolder = (id: string) => transfer(id, { ...batch, path: `holiday/${id}.txt` })
    const entries = entriesOf([inFolder('t1'), inFolder('t2'), transfer('t3', batch), transfer('t4', batch)], [], none)

    expect(entries).toMatchObject([
      { kind: 'group', folder: null, items: [{ key: 't3' }, { key: 't4' }] },
      { kind: 'group', folder: 'holiday', items: [{ key: 't1' }, { key: 't2' }] },
    ])
    const folded = linesOf(entries, () => false)
    expect(folded).toHaveLength(2)
    expect(linesOf(entries, ({ folder }) => folder === 'holiday').map(({ level }) => level)).toEqual([1, 1, 2, 2])
  })

  it('restores a folder after a reload, in its original order', () => {
    const part = (id: string, at: number) => ({ ...listed(id, at), batch: 'b', relativePath: `holiday/${id}.txt` })
    const [group] = entriesOf([], [part('two', 2), part('one', 1)], none) as [Group]

    expect(group.folder).toBe('holiday')
    expect(group.items.map(({ id }) => id)).toEqual(['one', 'two'])
  })

  it('distinguishes an incomplete upload from one that is being sent elsewhere', () => {
    const open = (id: string, live: boolean) => ({ ...listed(id, 1), state: 'receiving' as const, live })
    const entries = entriesOf([], [open('left', false), open('device', true), open('tab', false)], new Set(['tab']))

    const senders = Object.fromEntries(entries.map((entry) => [entry.key, entry.kind === 'item' ? entry.sender : null]))
    expect(senders).toEqual({ left: null, device: 'device', tab: 'tab' })
  })

  it('hides deleted uploads', () => {
    expect(entriesOf([], [{ ...listed('gone', 1), state: 'cancelled' }], none)).toEqual([])
  })

  it('adds up the confirmed bytes of a group', () => {
    const [group] = entriesOf(
      [
        transfer('t1', { batch: 'b', state: 'completed', confirmed: 100 }),
        transfer('t2', { batch: 'b', state: 'sending', confirmed: 40, sent: 90 }),
        transfer('t3', { batch: 'b', state: 'failed' }),
      ],
      [],
      none,
    ) as [Group]

    expect(totalsOf(group.items)).toMatchObject({
      count: 3,
      completed: 1,
      failed: 1,
      open: 1,
      size: 300,
      confirmed: 140,
    })
  })
})

describe('a refreshed first page', () => {
  const page = (ids: string[], next: string | null) => ({ uploads: ids.map((id) => listed(id, 1)), next })
  const idsOf = ({ uploads }: { uploads: OwnUpload[] }) => uploads.map(({ id }) => id)

  it('keeps older uploads that were loaded before', () => {
    const known = page(['c', 'b', 'a'], 'a').uploads

    const joined = joinPage(known, page(['d', 'c'], 'c'), 'a')

    expect([idsOf(joined), joined.next]).toEqual([['d', 'c', 'b', 'a'], 'a'])
  })

  it('replaces the list when the two do not overlap', () => {
    const joined = joinPage(page(['b', 'a'], null).uploads, page(['z', 'y'], 'y'), null)

    expect([idsOf(joined), joined.next]).toEqual([['z', 'y'], 'y'])
  })

  it('replaces the list when there is no next page', () => {
    expect(idsOf(joinPage(page(['b', 'a'], null).uploads, page(['b'], null), null))).toEqual(['b'])
  })
})

function transfer(id: string, { path, ...more }: Partial<TransferView> & { path?: string }): TransferView {
  const file = { name: `${id}.txt`, type: '', size: 100, lastModified: 1, ...(path && { webkitRelativePath: path }) }
  const rest = {
    resumedAt: 0,
    speed: null,
    timeLeftMs: null,
    failure: null,
    retryAt: null,
    isRestarted: false,
    durationMs: null,
  }
  const view = { state: 'queued', batch: null, addedAt: 1, confirmed: 0, sent: 0, sender: null, url: null, ...rest }
  return { id, file, ...view, ...more } as TransferView
}

function listed(id: string, at: number): OwnUpload {
  const moment = new Date(at).toISOString()
  const times = { createdAt: moment, updatedAt: moment, completedAt: moment, expiresAt: null }
  const rest = { live: false, relativePath: null, batch: null }
  const file = { filename: `${id}.txt`, contentType: 'text/plain', category: 'document', size: 1, offset: 1 }
  return { id, url: `/files/${id}`, ...file, ...rest, ...times, state: 'completed', failure: null } as OwnUpload
}
