/**
 * What access control adds to a request: `npx tsx bench/access.ts`, after a build; about a minute.
 *
 * One gateway without callers, one that asks for a key, one that also counts limits and prices, each on the same core, in
 * turn. Each round opens streams of 20 tokens on kept connections, and reads the gateway's CPU time for them.
 */
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { DIST } from './peers/sluice.ts'
import { freePort, GATEWAY_CORE, PinnedProcess, pinSelf, temporaryFolder, untilListening } from './processes.ts'
import { median } from './statistics.ts'
import { writeFileSync } from 'node:fs'

const KEY = 'key-of-the-bench'
const STREAMS = Number(process.env.STREAMS ?? 1500)
const ROUNDS = Number(process.env.ROUNDS ?? 9)
const AT_ONCE = 8
const BODY = JSON.stringify({
  messages: [{ role: 'user', content: 'How does a sluice work?' }],
  mock: { tokens: 20, interval_ms: 0 },
})

const LIMITS = `
keys:
  - name: bench
    key: ${KEY}
    limits: { requestsPerMinute: 100000000, concurrentStreams: 1000000, tokensPerDay: 1000000000 }
prices: { '*': { input: 1, output: 4 } }
`

const CASES: Record<string, { env?: Record<string, string>; yaml?: string }> = {
  open: {},
  'with a key': { env: { SLUICE_KEYS: `bench:${KEY}` } },
  'with a key, three limits and prices': { yaml: LIMITS },
}

interface Subject {
  name: string
  port: number
  process: PinnedProcess
  agent: Agent
  rounds: number[]
}

async function start(name: string, { env = {}, yaml = '' }: (typeof CASES)[string]): Promise<Subject> {
  const port = await freePort()
  const cwd = temporaryFolder()
  if (yaml) writeFileSync(join(cwd, 'sluice.yaml'), yaml)
  const settings = { PORT: String(port), LOG_LEVEL: 'silent', RETENTION_MS: '1000', ...env }
  const gateway = new PinnedProcess(process.execPath, ['--v8-pool-size=1', join(DIST, 'src/main.js')], {
    core: GATEWAY_CORE,
    env: settings,
    cwd,
  })
  await untilListening(gateway, port)
  return { name, port, process: gateway, agent: new Agent({ keepAlive: true, maxSockets: AT_ONCE }), rounds: [] }
}

function stream({ port, agent }: Subject): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${KEY}` }
    const sent = request({ port, agent, path: '/v1/chat', method: 'POST', headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
      response.resume().on('end', resolve)
    })
    sent.on('error', reject).end(BODY)
  })
}

/** CPU of the gateway for one stream, in µs. */
async function measure(subject: Subject): Promise<number> {
  const before = subject.process.cpuSeconds()
  let left = STREAMS
  const worker = async () => {
    while (left-- > 0) await stream(subject)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return ((subject.process.cpuSeconds() - before) / STREAMS) * 1e6
}

pinSelf()
const subjects = []
for (const [name, options] of Object.entries(CASES)) subjects.push(await start(name, options))
for (const subject of subjects) await measure(subject)
for (let round = 0; round < ROUNDS; round++)
  for (const subject of round % 2 ? subjects.toReversed() : subjects) subject.rounds.push(await measure(subject))
const [base] = subjects
for (const { name, rounds } of subjects) {
  // Round by round: the machine drifts.
  const ratios = rounds.map((value, i) => value / (base?.rounds[i] ?? value))
  console.log(
    `${name.padEnd(38)} ${median(rounds).toFixed(0).padStart(5)} µs a stream   ${(100 * (median(ratios) - 1)).toFixed(1)} %`,
  )
}
await Promise.all(subjects.map((subject) => subject.process.stop()))
process.exit()
