/**
 * What nodes that share a Redis cost, and what readers wait longer: `npx tsx bench/nodes.ts`, after a build; a quarter
 * of an hour. `--quick` takes three minutes, `--only=A,B` measures only these. It needs redis-server, and prints Markdown.
 */
import { parseArgs } from 'node:util'
import { describeMachine } from './machine.ts'
import type { Bed, NodesMeasure } from './nodes/bed.ts'
import { delays } from './nodes/delays.ts'
import { lost } from './nodes/lost.ts'
import { memory } from './nodes/memory.ts'
import { RedisUnderTest } from './nodes/redis.ts'
import { throughput } from './nodes/throughput.ts'
import { traffic } from './nodes/traffic.ts'
import { pinSelf } from './processes.ts'
import { renderMachine, renderSection } from './report.ts'
import { Rig } from './rig.ts'

const MEASURES: readonly NodesMeasure[] = [traffic, delays, memory, lost, throughput]

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } } })
const names = values.only?.split(',')
const { quick } = values

pinSelf()
const rig = await Rig.start()
const redis = await RedisUnderTest.start()
const bed: Bed = {
  rig,
  redis,
  quick,
  choose: (full, short) => (quick ? short : full),
  progress: (text) => void process.stderr.write(`${text}\n`),
}
const parts = [
  renderMachine(describeMachine({ Redis: await redis.version() })),
  'Gateways on core 0, the upstream, readers and Redis on core 1, all on 127.0.0.1. Medians over rounds, with the least and the most in brackets.',
]
let failed = false
for (const measure of MEASURES)
  if (names?.includes(measure.name) ?? true)
    try {
      for (const section of await measure.run(bed)) parts.push(...renderSection(section))
    } catch (error) {
      failed = true
      parts.push(`Failed: ${measure.name}, ${error instanceof Error ? error.message : String(error)}`)
    }
process.stdout.write(`${parts.join('\n\n')}\n`)
await Promise.all([rig.stop(), redis.stop()])
process.exit(failed ? 1 : 0)
