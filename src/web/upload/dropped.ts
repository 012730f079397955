/** The files of a drop, those in folders included. Must be called while the event lasts: the browser forgets afterwards. */
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
    return isSystemFile(file) ? [] : [placed(file, entry.fullPath.slice(1))]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const children: FileSystemEntry[] = []
  // A folder is handed out a hundred entries at a time, until nothing comes.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])))
    if (some.length === 0) break
    children.push(...some)
  }
  const found = await Promise.all(children.map(filesOf))
  return found.flat()
}

/** The browser says where a file was only of folders that were chosen, and not of those that were dropped. */
function placed(file: File, path: string): File {
  return path.includes('/') ? Object.defineProperty(file, 'webkitRelativePath', { value: path }) : file
}

/** Stands for a file that the browser may not read: it is listed as one that could not be sent, and holds up no other. */
function unreadable({ name, fullPath }: FileSystemEntry): File {
  return { name, type: '', size: 0, lastModified: 0, webkitRelativePath: fullPath.slice(1) } as File
}

/** What file managers leave in folders, and nobody means to send. */
function isSystemFile({ name }: File): boolean {
  return name === '.DS_Store' || name === 'Thumbs.db' || name === 'desktop.ini'
}
