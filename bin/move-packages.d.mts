/** Moves packages `names`, and all that they need, from `modules` to `target`, and removes `modules`. */
export function movePackages(names: string[], modules: string, target: string): void
