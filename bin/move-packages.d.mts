/** Moves packages `names` and their dependencies from `modules` to `target`, and removes `modules`. */
export function movePackages(names: string[], modules: string, target: string): void
