import type { Section, Target } from './measures/measure.ts'
import type { Worst } from './rig.ts'
import { number, percent } from './statistics.ts'

export interface Report {
  quick: boolean
  minutes: number
  machine: [string, string][]
  sections: Section[]
  /** Relays that took no part, and measures that failed. */
  missing: string[]
  failed: string[]
  worst: Worst
}

export function targetsOf({ sections }: Report): Target[] {
  return sections.flatMap(({ targets = [] }) => targets)
}

/** A quick run is over within the time in which the machine's own pace changes. */
const QUICK_TOLERANCE = 1.25

export function isMissed({ value, limit = Infinity, atLeast = -Infinity }: Target, quick: boolean): boolean {
  const tolerance = quick ? QUICK_TOLERANCE : 1
  return value > limit * tolerance || value < atLeast / tolerance
}

/** The whole report, as Markdown. */
export function renderReport(report: Report): string {
  const { quick, minutes, machine, sections, missing, failed } = report
  const parts = [
    '# Results of the benchmark',
    `Written by \`npm run bench${quick ? ' -- --quick' : ''}\` on ${new Date().toISOString().slice(0, 10)} in ${number(minutes)} minutes. Figures are medians over rounds, with the least and the most in brackets; relays take turns within a round, since absolute figures drift: compare only what stands in one table.`,
    renderMachine(machine),
    '## Targets',
    renderTargets(targetsOf(report), quick),
    ...sections.flatMap(renderSection),
    '## Method',
    renderMethod(report),
  ]
  if (missing.length > 0) parts.push('## Not measured', list(missing))
  if (failed.length > 0) parts.push('## Failed', list(failed))
  return `${parts.join('\n\n')}\n`
}

export function renderMachine(machine: readonly (readonly string[])[]): string {
  return table(['', ''], machine)
}

/** A heading, a table, and how it was measured: parts of a Markdown text. */
export function renderSection({ title, method, columns, rows, notes = [] }: Section): string[] {
  return [`## ${title}`, table(columns, rows), method, ...(notes.length > 0 ? [list(notes)] : [])]
}

function renderTargets(targets: readonly Target[], quick: boolean): string {
  return table(
    ['Sluice', 'measured', 'target', ''],
    targets.map((target) => [
      target.what,
      `${number(target.value, 2)} ${target.unit ?? ''}`,
      limitOf(target),
      verdictOn(target, quick),
    ]),
  )
}

function limitOf({ limit, atLeast, unit = '' }: Target): string {
  if (limit !== undefined) return `≤ ${limit} ${unit}`
  return atLeast === undefined ? '' : `≥ ${atLeast} ${unit}`
}

function verdictOn(target: Target, quick: boolean): string {
  if (Number.isNaN(target.value)) return 'not measured'
  if (target.limit === undefined && target.atLeast === undefined) return 'for comparison'
  if (isMissed(target, quick)) return '**missed**'
  return isMissed(target, false) ? 'within the noise of a quick run' : 'met'
}

function renderMethod({ worst }: Report): string {
  return list([
    'The process under test has core 0 to itself; upstream, readers and the program that directs them share core 1. All of it on 127.0.0.1. Sluice is started as `npm start` starts it, with one helper thread of V8; the relays made of Node with its default, four.',
    'CPU time is that of the scheduler (`/proc/<pid>/task/*/schedstat`, in nanoseconds) over all threads and child processes; memory is `VmRSS`.',
    'The upstream is a process of its own that writes chunks encoded beforehand, each a chunk of HTTP, straight to its sockets. The readers are another, on raw sockets: a mark that every token holds exactly once is counted in what arrives, in whatever format, and at the end of every run the tokens received are compared with those sent.',
    ...describeWorst(worst),
  ])
}

function describeWorst({ idle, use, foreign }: Worst): string[] {
  // No measure with a steady load took part.
  if (idle.where === '') return []
  return [
    `Whether the load side was the bottleneck: it used ${percent(use.share)} of its core at most (${use.where}), which was idle for ${percent(idle.share)} of the time at least (${idle.where}). Where streams go at full speed it has to be at its limit or the relay at its own; there, the table says which.`,
    `Whether the machine was quiet: anything but the process under test used ${percent(foreign.share)} of its core at most (${foreign.where}). More than a few per cent spoils the figures.`,
  ]
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

function list(lines: readonly string[]): string {
  return lines.map((each) => `- ${each}`).join('\n')
}
