import { isOver, type TransferView } from '../../client/transfer-view.ts'
import { uploadIdOf } from '../../client/upload-id.ts'
import type { OwnUpload } from '../../contract/upload.ts'

/** A file in the list: a transfer of this page, an upload on the server, or both. */
export interface Item {
  kind: 'item'
  key: string
  /** The id of its upload; `null` until the server has created it. */
  id: string | null
  name: string
  /** Its path without the name; empty for a file that is not in a folder. */
  folder: string
  /** `null` while the client has not declared it. */
  size: number | null
  /** Bytes that the server has confirmed. */
  confirmed: number
  /** When the file was added to this page, or the upload created elsewhere: milliseconds since 1970. */
  at: number
  batch: string | null
  transfer: TransferView | null
  upload: OwnUpload | null
  /** Another tab or device is sending it. */
  sender: 'tab' | 'device' | null
}

/** Files that were added together: a folder, or several files. */
export interface Group {
  kind: 'group'
  key: string
  /** The name of the folder; `null` for files without one. */
  folder: string | null
  items: Item[]
  at: number
}

export type Entry = Item | Group

/**
 * Merges the transfers of this page and the uploads on the server into one list, newest first. They are matched by upload id; files
 * that were added together are one entry.
 * @param otherTabs ids of the uploads that other tabs of this browser are sending
 */
export function entriesOf(
  transfers: readonly TransferView[],
  listed: readonly OwnUpload[],
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
  // The server lists the newest first; a group lists its files in the order in which they were added.
  for (const upload of [...byId.values()].reverse()) {
    // The server keeps a deleted upload for a while; the list hides it.
    if (upload.state !== 'cancelled') items.push(itemOfUpload(upload, otherTabs))
  }
  return grouped(items)
}

function itemOfTransfer(transfer: TransferView, id: string | null, upload: OwnUpload | null): Item {
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

function itemOfUpload(upload: OwnUpload, otherTabs: ReadonlySet<string>): Item {
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
    // A file that was added alone gets its own group, which is replaced by the file below.
    const key = item.batch === null ? `single ${item.key}` : JSON.stringify([item.batch, top])
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
  // Of entries with the same time, the one that was added last is the newer one.
  return entries.reverse().sort((a, b) => b.at - a.at)
}

/** Totals of the files of a group. */
export interface ItemTotals {
  count: number
  completed: number
  failed: number
  paused: number
  /** Files that are not completely uploaded and have not failed. */
  open: number
  size: number
  confirmed: number
  speed: number
}

/** Adds up `items`. */
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

/** Whether a transfer of this page is still open. */
export function isOpenHere({ transfer }: Item): boolean {
  return transfer !== null && !isOver(transfer.state)
}

/** A line of the list: an entry, or a file of an unfolded group. */
export type Line = { entry: Entry; level: 1 | 2 }

/** The lines to show; unfolded groups are followed by their files. */
export function linesOf(entries: readonly Entry[], isUnfolded: (group: Group) => boolean): Line[] {
  const lines: Line[] = []
  for (const entry of entries) {
    lines.push({ entry, level: 1 })
    if (entry.kind === 'group' && isUnfolded(entry))
      for (const item of entry.items) lines.push({ entry: item, level: 2 })
  }
  return lines
}
