import {
  defaultRangeExtractor,
  observeWindowOffset,
  observeWindowRect,
  Virtualizer,
  type VirtualizerOptions,
  windowScroll,
} from '@tanstack/virtual-core'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'

interface VirtualListProps<T> {
  lines: readonly T[]
  keyOf(line: T): string
  label: string
  /** The content of the `li` of a line. */
  children(line: T): ComponentChildren
  /** The class and the `data-state` of that `li`. */
  rowOf(line: T): { class: string; state: string }
}

/** Up to this many lines are all rendered, so that find in page works and nothing has to be measured. */
const maxRendered = 100
const estimate = 68
const overscan = 12

/** A list of any length that scrolls with the page. Of a long list only the visible lines and the focused one are rendered. */
export function VirtualList<T>(props: VirtualListProps<T>) {
  if (props.lines.length > maxRendered) return <Windowed {...props} />
  const { lines, keyOf, label, children, rowOf } = props
  return (
    <ul class="rows" aria-label={label}>
      {lines.map((line) => {
        const row = rowOf(line)
        return (
          <li key={keyOf(line)} class={row.class} data-state={row.state}>
            {children(line)}
          </li>
        )
      })}
    </ul>
  )
}

function Windowed<T>({ lines, keyOf, label, children, rowOf }: VirtualListProps<T>) {
  const list = useRef<HTMLUListElement>(null)
  const focused = useRef<string | null>(null)
  const [margin, setMargin] = useState(0)
  const [, redraw] = useState(0)
  const virtualizer = useRef<Virtualizer<Window, HTMLLIElement>>(null)
  const options: VirtualizerOptions<Window, HTMLLIElement> = {
    count: lines.length,
    estimateSize: () => estimate,
    getItemKey: (index) => keyOf(lines[index]!),
    getScrollElement: () => window as Window,
    initialRect: { width: innerWidth, height: innerHeight },
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    onChange: () => redraw((count) => count + 1),
    overscan,
    // Removing the focused line would lose the keyboard focus.
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range)
      const at = focused.current === null ? -1 : lines.findIndex((line) => keyOf(line) === focused.current)
      return at < 0 || shown.includes(at) ? shown : [...shown, at].sort((a, b) => a - b)
    },
    scrollMargin: margin,
    scrollToFn: windowScroll,
  }
  virtualizer.current ??= new Virtualizer(options)
  virtualizer.current.setOptions(options)
  useLayoutEffect(() => virtualizer.current!._didMount(), [])
  useLayoutEffect(() => {
    virtualizer.current!._willUpdate()
    const top = Math.round(list.current!.getBoundingClientRect().top + scrollY)
    if (top !== margin) setMargin(top)
  })

  return (
    <ul
      ref={list}
      class="rows is-windowed"
      aria-label={label}
      style={{ height: `${virtualizer.current.getTotalSize()}px` }}
      onFocusCapture={(event) => {
        focused.current = (event.target as Element).closest('li')?.dataset['key'] ?? null
      }}
      onBlurCapture={() => {
        focused.current = null
      }}
    >
      {virtualizer.current.getVirtualItems().map(({ index, key, start }) => {
        const line = lines[index]!
        const row = rowOf(line)
        return (
          <li
            key={key}
            ref={virtualizer.current!.measureElement}
            class={row.class}
            data-state={row.state}
            data-index={index}
            data-key={key}
            aria-setsize={lines.length}
            aria-posinset={index + 1}
            style={{ transform: `translateY(${start - margin}px)` }}
          >
            {children(line)}
          </li>
        )
      })}
    </ul>
  )
}
