import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { checkRecordings } from './check-recording.ts'
import { loadRecordings } from './recording.ts'
import { countKinds, describeResult, summarize } from './report.ts'
import { startRig } from './rig.ts'

// Replays the recorded streams of a folder, directly and through the gateway, and prints the differences.
// npm run test:recordings -- FOLDER [--only=id,id] [--seed=TEXT] [--verbose] [--json=FILE]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    seed: { type: 'string' },
    verbose: { type: 'boolean' },
    json: { type: 'string' },
  },
})
const [folder = 'test/fixtures/recordings'] = positionals

const recordings = loadRecordings(folder, values.only === undefined ? undefined : new Set(values.only.split(',')))
const rig = await startRig(recordings, values.seed)
const results = await checkRecordings(rig, recordings, (result) => console.log(describeResult(result, values.verbose)))
await rig.close()

const kinds = countKinds(results)
if (kinds) console.log(`\nDifferences, with the number of recordings that have them\n\n${kinds}`)
console.log(`\nRecordings without a difference\n\n${summarize(results)}`)
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(results, undefined, 2))
process.exitCode = recordings.length > 0 && results.every(({ own, across }) => own.length + across.length === 0) ? 0 : 1
