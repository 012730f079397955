// The licences of the packages whose code is in a bundle, for the file that goes with it: most of them demand that their text does.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The text of THIRD-PARTY-LICENSES for a bundle of the modules `ids`, which are paths of files. @throws when a package names no licence */
export function licensesOf(ids) {
  const folders = new Set(ids.flatMap((id) => folderOf(id) ?? []))
  const packages = [...folders].map(describe)
  const names = new Set()
  const texts = packages
    .filter(({ title }) => !names.has(title) && names.add(title))
    .toSorted((one, other) => (one.title < other.title ? -1 : 1))
    .map(({ title, license, text }) => `${title} (${license})\n\n${text}`)
  return `This package contains code of the following packages.\n\n${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}

/** The folder of the package to which a module belongs; `undefined`: to none. */
function folderOf(id) {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0]
}

function describe(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const named = typeof license === 'string' ? license : license?.type
  if (!named) throw new Error(`${name} names no licence`)
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n')
  return { title: `${name} ${version}`, license: named, text: text || 'The package has the name of its licence only.' }
}
