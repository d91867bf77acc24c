import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Benchmark } from './benchmark.ts'
import { describeMachine } from './machine.ts'
import { MEASURES } from './measures/index.ts'
import { chooseRelays } from './peers/index.ts'
import { DIST } from './peers/sluice.ts'
import { pinSelf } from './processes.ts'
import { isMissed, renderReport, targetsOf, type Report } from './report.ts'

const HELP = `npm run bench [-- options]        about half an hour; writes bench/RESULTS.md

  --quick           short rounds of what has a target, in five minutes; writes nothing
  --check           exit 1 when a target is missed; in a quick run, by more than a quarter
  --only=A,B        these measures: ${MEASURES.map(({ name }) => name).join(', ')}; writes nothing
  --peers=A,B       these relays: ${chooseRelays({ dist: DIST })
    .map(({ id }) => id)
    .join(', ')}; writes nothing
  --dist=FOLDER     measure this build instead of the one in dist
  --node=PATH       run Sluice and the relays written in JavaScript with this Node binary
  --beside=FOLDER   relay through this build too, in the same rounds: what a change is worth

PEER_GOMODEL and PEER_BIFROST in the environment hold the paths of their binaries; without one, the peer is left out.
`

/** Resolves to the exit code. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      only: { type: 'string' },
      peers: { type: 'string' },
      dist: { type: 'string', default: DIST },
      node: { type: 'string', default: process.execPath },
      beside: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { quick } = values
  const dist = resolve(values.dist)
  const beside = values.beside === undefined ? undefined : resolve(values.beside)
  const relays = chooseRelays({ dist, beside, ids: values.peers?.split(',') })
  const names = values.only?.split(',')
  const measures = MEASURES.filter(({ name, fullOnly = false }) => names?.includes(name) ?? !(quick && fullOnly))
  if (relays.length === 0 || measures.length === 0) throw new Error(`There is nothing to measure.\n\n${HELP}`)

  pinSelf()
  const benchmark = await Benchmark.open({ quick, dist, node: values.node, relays })
  const sections: Report['sections'] = []
  const failed: string[] = []
  for (const [done, measure] of measures.entries()) {
    try {
      sections.push(await measure.run(benchmark))
    } catch (error) {
      failed.push(`${measure.name}: ${error instanceof Error ? error.message : String(error)}`)
      benchmark.progress(`FAILED ${failed.at(-1)}`)
    }
    if (!measures.slice(done + 1).some(({ comparesRelays }) => comparesRelays)) await benchmark.stopRelays()
  }
  const report: Report = {
    quick,
    minutes: benchmark.seconds / 60,
    machine: describeMachine(await benchmark.versions(), values.node),
    sections,
    missing: benchmark.missing,
    failed,
    worst: benchmark.rig.worst,
  }
  await benchmark.close()

  const text = renderReport(report)
  process.stdout.write(`\n${text}`)
  const whole =
    !quick &&
    names === undefined &&
    values.peers === undefined &&
    values.dist === DIST &&
    values.node === process.execPath
  if (whole) writeFileSync(fileURLToPath(new URL('RESULTS.md', import.meta.url)), text)
  const missed = targetsOf(report).filter((target) => isMissed(target, quick))
  if (values.check && missed.length > 0) process.stderr.write(`\n${missed.length} targets are missed.\n`)
  return failed.length > 0 || (values.check && missed.length > 0) ? 1 : 0
}

try {
  process.exit(await main())
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
