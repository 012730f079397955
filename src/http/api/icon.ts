/** The icon of this project, for the reference page. The pages for users have the same in `src/web/public/favicon.svg`. */
export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <title>Landfall</title>
  <rect width="32" height="32" rx="9" fill="#0c7c78" />
  <g fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round">
    <path d="M16 19V6.500M10.8 11.5 16 6.300l5.2 5.2" />
    <path d="M6 23.500c2.5-2.5 5-2.5 7.5-.5s5 2 7.5-.3 3.8-2 5-1" />
  </g>
</svg>
`
