import { useEffect, useState } from 'preact/hooks'
import { Check, TypeIcon } from '../ui/icons.tsx'

/** A decoded image takes much memory, so larger files get an icon. */
const previewLimit = 30 * 1024 ** 2

/** A thumbnail if the page has the file and it is an image, else an icon for its type. */
export function Preview({ file, type, isDone }: { file: File | null; type: string; isDone: boolean }) {
  const [url, setUrl] = useState<string | null>(null)
  useEffect(() => {
    if (!file || !/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(file.type) || file.size > previewLimit) return
    const objectUrl = URL.createObjectURL(file)
    setUrl(objectUrl)
    return () => URL.revokeObjectURL(objectUrl)
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
