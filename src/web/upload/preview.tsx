import { useEffect, useState } from 'preact/hooks'
import { Check, TypeIcon } from './icons.tsx'

/** A decoded photograph takes much memory, so only files up to this size are shown. */
const previewLimit = 30 * 1024 ** 2

/** The picture in a file, if this page has it; else a sign for its type. */
export function Preview({ file, type, isDone }: { file: File | null; type: string; isDone: boolean }) {
  const [url, setUrl] = useState<string | null>(null)
  useEffect(() => {
    if (!file || !/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(file.type) || file.size > previewLimit) return
    const made = URL.createObjectURL(file)
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [file])
  return (
    <span class="preview">
      {url ? (
        <img src={url} alt="" width="40" height="40" decoding="async" onError={() => setUrl(null)} />
      ) : (
        <TypeIcon type={type} />
      )}
      {isDone && (
        <span class="done-mark">
          <Check />
        </span>
      )}
    </span>
  )
}
