import type { ListedUpload } from '../../client/api.ts'
import { isOver, type TransferView } from '../../client/transfer-view.ts'
import { uploadIdOf } from '../../client/upload-id.ts'

/** A file in the list: on its way from this page, on the server, or both, which is then one. */
export interface Item {
  kind: 'item'
  key: string
  /** Of its upload; `null` while the server knows of none. */
  id: string | null
  name: string
  /** Where it is in its folder, without its own name; empty for one that is in none. */
  folder: string
  /** `null` while the client has not told. */
  size: number | null
  /** Bytes that are safe on the server. */
  confirmed: number
  /** Milliseconds since 1970: when it was given to this page, or begun on another one. */
  at: number
  batch: string | null
  transfer: TransferView | null
  upload: ListedUpload | null
  /** Another tab or device is sending it. */
  sender: 'tab' | 'device' | null
}

/** Files that were given together: a folder, or some files. */
export interface Group {
  kind: 'group'
  key: string
  /** The folder's name; `null` for files without one. */
  folder: string | null
  items: Item[]
  at: number
}

export type Entry = Item | Group

/**
 * One list of what this page sends and what the server has, newest first. The two are joined by the id of the upload, and files
 * that were given together are one entry.
 * @param othersTabs ids of the uploads that other tabs of this browser are sending
 */
export function entriesOf(
  transfers: readonly TransferView[],
  listed: readonly ListedUpload[],
  otherTabs: ReadonlySet<string>,
): Entry[] {
  const byId = new Map(listed.map((upload) => [upload.id, upload]))
  const items: Item[] = []
  for (const transfer of transfers) {
    const id = transfer.url === null ? null : uploadIdOf(transfer.url)
    const upload = (id !== null && byId.get(id)) || null
    if (id !== null) byId.delete(id)
    items.push(itemOfTransfer(transfer, id, upload))
  }
  // The server tells the newest first; in a group they stand in the order in which they were sent, as those of this page do.
  for (const upload of [...byId.values()].reverse()) {
    // What was deleted stays in the server's books for a while, and is nothing to look at.
    if (upload.state !== 'cancelled') items.push(itemOfUpload(upload, otherTabs))
  }
  return grouped(items)
}

function itemOfTransfer(transfer: TransferView, id: string | null, upload: ListedUpload | null): Item {
  const { file, confirmed } = transfer
  return {
    kind: 'item',
    key: transfer.id,
    id,
    name: file.name,
    folder: folderOf(file.webkitRelativePath),
    size: file.size,
    confirmed,
    at: transfer.addedAt,
    batch: transfer.batch,
    transfer,
    upload,
    sender: transfer.sender,
  }
}

function itemOfUpload(upload: ListedUpload, otherTabs: ReadonlySet<string>): Item {
  const isOpen = upload.state === 'receiving'
  return {
    kind: 'item',
    key: upload.id,
    id: upload.id,
    name: upload.filename,
    folder: folderOf(upload.relativePath),
    size: upload.size,
    confirmed: upload.offset,
    at: Date.parse(upload.createdAt),
    batch: upload.batch,
    transfer: null,
    upload,
    sender: isOpen && otherTabs.has(upload.id) ? 'tab' : isOpen && upload.live ? 'device' : null,
  }
}

function folderOf(path: string | null | undefined): string {
  return path ? path.split('/').slice(0, -1).join('/') : ''
}

function grouped(items: Item[]): Entry[] {
  const groups = new Map<string, Group>()
  for (const item of items) {
    const top = item.folder.split('/')[0]!
    // A file that was sent alone is a group of its own, which is taken out below.
    const key = item.batch === null ? `one ${item.key}` : JSON.stringify([item.batch, top])
    const group = groups.get(key)
    if (group) group.items.push(item)
    else groups.set(key, { kind: 'group', key, folder: top === '' ? null : top, items: [item], at: item.at })
  }
  const entries: Entry[] = []
  for (const group of groups.values()) {
    group.at = group.items.reduce((latest, { at }) => Math.max(latest, at), 0)
    if (group.items.length === 1 && group.folder === null) entries.push(group.items[0]!)
    else entries.push(group)
  }
  // Of those of one moment the one that was given last is the newer one.
  return entries.reverse().sort((a, b) => b.at - a.at)
}

/** What the files of a group are together. */
export interface ItemTotals {
  count: number
  completed: number
  failed: number
  paused: number
  /** Files that this page or another one is still to send. */
  open: number
  size: number
  confirmed: number
  speed: number
}

/** The sum of `items`. */
export function totalsOf(items: readonly Item[]): ItemTotals {
  const sum = { count: items.length, completed: 0, failed: 0, paused: 0, open: 0, size: 0, confirmed: 0, speed: 0 }
  for (const { transfer, upload, size, confirmed } of items) {
    const state = transfer?.state ?? upload!.state
    if (state === 'completed') sum.completed += 1
    else if (state === 'failed' || state === 'expired') sum.failed += 1
    else sum.open += 1
    if (state === 'paused') sum.paused += 1
    sum.size += size ?? confirmed
    sum.confirmed += state === 'completed' ? (size ?? confirmed) : confirmed
    sum.speed += transfer?.speed ?? 0
  }
  return sum
}

/** Whether this page has still something to do for it. */
export function isOpenHere({ transfer }: Item): boolean {
  return transfer !== null && !isOver(transfer.state)
}

/** A line of the list: an entry, or a file of a group that is unfolded. */
export type Line = { entry: Entry; level: 1 | 2 }

/** The lines that are shown while the groups of `unfolded` are open. */
export function linesOf(entries: readonly Entry[], isUnfolded: (group: Group) => boolean): Line[] {
  const lines: Line[] = []
  for (const entry of entries) {
    lines.push({ entry, level: 1 })
    if (entry.kind === 'group' && isUnfolded(entry))
      for (const item of entry.items) lines.push({ entry: item, level: 2 })
  }
  return lines
}
