import type { Result } from './check-recording.ts'
import type { Difference } from './differences.ts'

const SHOWN = 4

/** One line for a recording that is exact; else its differences, shortened unless all are wanted. */
export function describeResult({ id, wire, own, across }: Result, verbose = false): string {
  const differences = [...own, ...across]
  if (differences.length === 0) return `${id} ${wire} exact`
  const shown = verbose ? differences : differences.slice(0, SHOWN)
  const lines = shown.map((each) => `  ${describeDifference(each, verbose ? 300 : 60)}`)
  if (shown.length < differences.length) lines.push(`  … and ${differences.length - shown.length} more`)
  return [`${id} ${wire} differs`, ...lines].join('\n')
}

function describeDifference({ check, path, direct, through }: Difference, length: number): string {
  return `[${check}] ${path || '(all)'}: ${shorten(direct, length)} → ${shorten(through, length)}`
}

function shorten(value: unknown, length: number): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length <= length ? text : `${text.slice(0, length / 2)}…${text.slice(-length / 2)}`
}

const OWN_CHECKS = ['raw', 'first chunk', 'sdk', 'ai-sdk', 'whole']
const ACROSS_CHECKS = [
  'native stream',
  'native whole',
  'messages stream',
  'messages sdk',
  'messages whole',
  'chat stream',
  'chat sdk',
  'chat whole',
]

/** How many recordings are without a difference: by wire, in each reading. */
export function summarize(results: readonly Result[]): string {
  const wires = ['openai', 'anthropic'] as const
  const rows = [['', ...wires, 'all']]
  const count = (name: string, has: (result: Result) => boolean, applies = (_: Result) => true) =>
    rows.push([
      name,
      ...[...wires, undefined].map((wire) => {
        const concerned = results.filter((each) => (!wire || each.wire === wire) && applies(each))
        return concerned.length === 0 ? '–' : `${concerned.filter(has).length}/${concerned.length}`
      }),
    ])
  const appliesTo = (check: string) => (result: Result) =>
    check === 'first chunk' || check.startsWith('messages')
      ? result.wire === 'openai'
      : !check.startsWith('chat') || result.wire === 'anthropic'
  for (const name of OWN_CHECKS) count(name, ({ own }) => own.every(({ check }) => check !== name), appliesTo(name))
  count('exact on the own wire', ({ own }) => own.length === 0)
  for (const name of ACROSS_CHECKS)
    count(name, ({ across }) => across.every(({ check }) => check !== name), appliesTo(name))
  count('clean across wires', ({ across }) => across.length === 0)
  count('all', ({ own, across }) => own.length + across.length === 0)
  return table(rows)
}

/** Every kind of difference, the most frequent first: its reading and field, the recordings that have it, one of them. */
export function countKinds(results: readonly Result[]): string {
  const kinds = new Map<string, { ids: Set<string>; example: Difference }>()
  for (const { id, wire, own, across } of results) {
    for (const each of [...own, ...across]) {
      const kind = `${wire} [${each.check}] ${each.path.replaceAll(/\[\d+\]|\b\d+\b/g, (at) => (at.startsWith('[') ? '[]' : '*'))}`
      const known = kinds.get(kind) ?? { ids: new Set(), example: each }
      kinds.set(kind, known)
      known.ids.add(id)
    }
  }
  return [...kinds]
    .toSorted(([, a], [, b]) => b.ids.size - a.ids.size)
    .map(([kind, { ids, example }]) => {
      const [first] = ids
      return `${String(ids.size).padStart(4)}  ${kind}  (${first}: ${shorten(example.direct, 50)} → ${shorten(example.through, 50)})`
    })
    .join('\n')
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
