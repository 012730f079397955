import { parseSync } from 'vite'

/** One import in a file: of values or types, static or dynamic, or a re-export. */
export interface Import {
  /** The module specifier; `null` when it is not a string literal. */
  from: string | null
  line: number
  /** Whether it is erased before the code runs: `import type`, or types only between the braces. */
  isType: boolean
}

/** Every import in `code`: `import`, `import type`, `export … from`, `import()`, `import('…').Type` and `require`. */
export function importsIn(code: string, filename = 'file.ts'): Import[] {
  const { program, errors } = parseSync(filename, code)
  if (errors.length > 0) throw new Error(`${filename}: ${errors[0]?.message}`)

  const found: Import[] = []
  visit(program)
  return found

  function visit(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) visit(item)
    if (!isNode(value)) return
    const source = sourceOf(value)
    if (source !== undefined) {
      const line = code.slice(0, value.start).split('\n').length
      found.push({ from: textOf(source), line, isType: isTypeOnly(value) })
    }
    for (const child of Object.values(value)) visit(child)
  }
}

interface Node {
  type: string
  start: number
  [field: string]: unknown
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

/** The node of the module specifier; `undefined` when `node` is no import. */
function sourceOf(node: Node): unknown {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return node.source
    case 'ExportNamedDeclaration':
      return node.source ?? undefined
    case 'TSExternalModuleReference':
      return node.expression
    case 'CallExpression': {
      const { callee, arguments: given } = node as { callee?: Node; arguments?: unknown[] }
      return callee?.type === 'Identifier' && callee.name === 'require' ? given?.[0] : undefined
    }
  }
}

function isTypeOnly(node: Node): boolean {
  if (node.type === 'TSImportType' || node.importKind === 'type' || node.exportKind === 'type') return true
  const specifiers = (node.specifiers ?? []) as Node[]
  return specifiers.length > 0 && specifiers.every((one) => one.importKind === 'type' || one.exportKind === 'type')
}

function textOf(source: unknown): string | null {
  return isNode(source) && source.type === 'Literal' && typeof source.value === 'string' ? source.value : null
}
