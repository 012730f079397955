/** A name whose end stays visible when there is no room: endings tell files apart. */
export function FileName({ name }: { name: string }) {
  const cut = Math.max(0, name.length - 10)
  return (
    <p class="name" title={name}>
      <span class="name-start">{name.slice(0, cut)}</span>
      <span class="name-end">{name.slice(cut)}</span>
    </p>
  )
}
