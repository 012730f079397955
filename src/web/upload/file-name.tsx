/** A name whose end stays visible when there is no room: endings tell files apart. */
export function FileName({ name }: { name: string }) {
  const characters = Array.from(name)
  const cut = Math.max(0, characters.length - 10)
  return (
    <p class="name" title={name}>
      <span class="name-start">{characters.slice(0, cut).join('')}</span>
      <span class="name-end">{characters.slice(cut).join('')}</span>
    </p>
  )
}
