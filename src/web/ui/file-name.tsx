import { visible } from './visible.ts'

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
// The last characters of a long name stay visible: they distinguish files.
const endLength = 9

/**
 * The name of a file as one complete text node, in any script. If it does not fit, the style sheet hides its middle with generated
 * content, which is not text of the page: screen readers, find in page and copying get the complete name.
 */
export function FileName({ name }: { name: string }) {
  const text = visible(name)
  return (
    <bdi class="name" dir="auto" title={text}>
      <span class="name-text" data-end={endOf(text)}>
        {text}
      </span>
    </bdi>
  )
}

function endOf(text: string): string {
  // Only the end of a long name needs to be segmented.
  const tail = text.slice(-12 * endLength)
  const characters = Array.from(segmenter.segment(tail), ({ segment }) => segment)
  return characters.slice(-endLength).join('')
}
