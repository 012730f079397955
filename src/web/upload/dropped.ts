/** The dropped files, including those in folders. Must be called during the event: the browser clears the list afterwards. */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => (item.kind === 'file' ? item.webkitGetAsEntry() : null))
  const files = [...transfer.files]
  if (!entries.some((entry) => entry?.isDirectory)) return files
  const found = await Promise.all(entries.map(async (entry) => (entry ? filesOf(entry) : [])))
  return found.flat()
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve) =>
      (entry as FileSystemFileEntry).file(resolve, () => resolve(unreadable(entry))),
    )
    return isSystemFile(file) ? [] : [withPath(file, entry.fullPath.slice(1))]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const children: FileSystemEntry[] = []
  // readEntries returns at most 100 entries at a time, and an empty list at the end.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])))
    if (entries.length === 0) break
    children.push(...entries)
  }
  const found = await Promise.all(children.map(filesOf))
  return found.flat()
}

/** Browsers set the path only for files of a chosen folder, not of a dropped one. */
function withPath(file: File, path: string): File {
  return path.includes('/') ? Object.defineProperty(file, 'webkitRelativePath', { value: path }) : file
}

/** Stands for a file that the browser may not read: its transfer fails without delaying the others. */
function unreadable({ name, fullPath }: FileSystemEntry): File {
  return { name, type: '', size: 0, lastModified: 0, webkitRelativePath: fullPath.slice(1) } as File
}

/** Files that file managers create in folders. */
function isSystemFile({ name }: File): boolean {
  return name === '.DS_Store' || name === 'Thumbs.db' || name === 'desktop.ini'
}
