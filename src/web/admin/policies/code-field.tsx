import type { RefObject } from 'preact'
import { useRef } from 'preact/hooks'

interface CodeFieldProps {
  field: RefObject<HTMLTextAreaElement>
  label: string
  text: string
  setText(text: string): void
  isInvalid: boolean
  describedBy: string
}

/** A text field with line numbers. */
export function CodeField({ field, label, text, setText, isInvalid, describedBy }: CodeFieldProps) {
  const gutter = useRef<HTMLPreElement>(null)
  const count = text.split('\n').length
  return (
    <div class="code-frame">
      <pre ref={gutter} class="gutter" aria-hidden="true">
        {Array.from({ length: count }, (_, index) => index + 1).join('\n')}
      </pre>
      <textarea
        ref={field}
        class="code"
        aria-label={label}
        aria-invalid={isInvalid}
        aria-describedby={describedBy}
        spellcheck={false}
        autocapitalize="off"
        wrap="off"
        rows={26}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onScroll={(event) => {
          gutter.current!.scrollTop = event.currentTarget.scrollTop
        }}
      />
    </div>
  )
}
