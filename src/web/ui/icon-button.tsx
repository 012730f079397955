import type { ComponentChildren } from 'preact'

/** A button that shows an icon; `label` is its accessible name. */
export function IconButton(props: { label: string; onClick: () => void; children: ComponentChildren }) {
  return (
    <button type="button" class="icon-button" aria-label={props.label} title={props.label} onClick={props.onClick}>
      {props.children}
    </button>
  )
}
