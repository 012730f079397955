/** Lets the browser save `text` as a CSV file. */
export function saveCsv(name: string, text: string): void {
  // The byte order mark tells spreadsheets that the file is UTF-8.
  const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/csv' }))
  const link = Object.assign(document.createElement('a'), { href: url, download: `${name}.csv` })
  link.click()
  // The browser must have started to read the URL before it is revoked.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
