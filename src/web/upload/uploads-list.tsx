import { computed, signal, useComputed } from '@preact/signals'
import { More } from '../ui/more.tsx'
import { GroupRow } from './group-row.tsx'
import { ItemRow } from './item-row.tsx'
import { stateOf } from './item-status.tsx'
import { type Entry, entriesOf, type Group, type Line, linesOf } from './items.ts'
import { hasMore, listError, listed, listState, refresh, showMore } from './list-store.ts'
import { ResumePrompts } from './resume-prompts.tsx'
import { RoundSummary } from './round-summary.tsx'
import { otherTabs, transfers } from './upload-queue.ts'
import { VirtualList } from './virtual-list.tsx'

const entries = computed(() => entriesOf(transfers.value, listed.value, otherTabs.value))
/** Groups that the user has folded or unfolded. */
const folding = signal<ReadonlyMap<string, boolean>>(new Map())
const search = signal('')

/** A group without a folder is unfolded at first if it has at most this many files. */
const maxUnfolded = 5
/** A longer list has a search field. */
const maxWithoutSearch = 20

/** The list of transfers and uploads, newest first. */
export function UploadsList() {
  const lines = useComputed(linesShown).value
  const count = useComputed(() => transfers.value.length + listed.value.length).value
  const isEmpty = entries.value.length === 0
  return (
    <section class="uploads" aria-labelledby="uploads-title">
      <div class="uploads-head">
        <h2 id="uploads-title" tabIndex={-1}>
          Uploads
        </h2>
        <button type="button" class="button is-quiet" onClick={() => void refresh()}>
          Refresh
        </button>
      </div>
      <RoundSummary />
      {listState.value === 'failed' && (
        <p class="notice is-bad" role="alert">
          {listError} The list may be out of date.
        </p>
      )}
      <ResumePrompts />
      {count > maxWithoutSearch && (
        <label class="search">
          <span class="visually-hidden">Search by name</span>
          <input
            type="search"
            placeholder="Search by name"
            value={search.value}
            onInput={(event) => {
              search.value = event.currentTarget.value
            }}
          />
        </label>
      )}
      {listState.value === 'new' && isEmpty && <Loading />}
      {listState.value !== 'new' && isEmpty && <p class="empty quiet">No uploads yet. Files you upload appear here.</p>}
      {!isEmpty && lines.length === 0 && <p class="empty quiet">No file name contains this text.</p>}
      {lines.length > 0 && (
        <VirtualList lines={lines} label="Uploads" keyOf={keyOf} rowOf={rowOf}>
          {({ entry }) =>
            entry.kind === 'item' ? (
              <ItemRow item={entry} />
            ) : (
              <GroupRow
                group={entry}
                isUnfolded={isUnfolded(entry)}
                toggle={() => toggle(entry)}
                isPartial={hasMore.value && entry === entries.value.at(-1)}
              />
            )
          }
        </VirtualList>
      )}
      <More has={hasMore.value} show={() => void showMore()} />
    </section>
  )
}

function linesShown(): Line[] {
  const text = search.value.trim().normalize().toLowerCase()
  if (text === '') return linesOf(entries.value, isUnfolded)
  const items = entries.value.flatMap((entry) => (entry.kind === 'item' ? [entry] : entry.items))
  const found = items.filter(({ name, folder }) => `${folder}/${name}`.normalize().toLowerCase().includes(text))
  return found.map((entry) => ({ entry, level: 1 }))
}

function isUnfolded(group: Group): boolean {
  return folding.value.get(group.key) ?? (group.folder === null && group.items.length <= maxUnfolded)
}

function toggle(group: Group): void {
  folding.value = new Map(folding.peek()).set(group.key, !isUnfolded(group))
}

function keyOf({ entry }: Line): string {
  return entry.key
}

function rowOf({ entry, level }: Line): { class: string; state: string } {
  const state = stateOfEntry(entry)
  return { class: `row is-${state} is-level-${level} ${entry.kind === 'group' ? 'is-group' : ''}`, state }
}

function stateOfEntry(entry: Entry): string {
  return entry.kind === 'group' ? 'group' : stateOf(entry)
}

function Loading() {
  return (
    <ul class="rows" aria-busy="true" aria-label="Loading">
      {[1, 2, 3].map((row) => (
        <li key={row} class="row is-placeholder" />
      ))}
    </ul>
  )
}
