// @ts-check
/**
 *   node examples/node.js "Why is the sky blue?"
 *
 * Leave it with Ctrl-C: the stream goes on for half a minute (`RESUME_WINDOW_MS`), and can be joined where you left:
 *
 *   node examples/node.js --attach 5f0c… --after 12
 */
import { parseArgs } from 'node:util'
import { createClient } from 'sluice/client'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { attach: { type: 'string' }, after: { type: 'string', default: '0' } },
})
const [content = 'Why is the sky blue?'] = positionals

const { SLUICE_URL = 'http://localhost:8080', SLUICE_KEY } = process.env
const client = createClient({
  baseUrl: SLUICE_URL,
  headers: SLUICE_KEY ? { authorization: `Bearer ${SLUICE_KEY}` } : {},
})
const leave = new AbortController()
const { signal } = leave
const stream = values.attach
  ? client.attach(values.attach, { signal, after: Number(values.after) })
  : client.chat({ messages: [{ role: 'user', content }] }, { signal })

let after = 0
process.once('SIGINT', () => leave.abort())
try {
  for await (const event of stream) {
    after = event.seq
    if (event.type === 'delta') process.stdout.write(event.content ?? '')
  }
  const { finish_reason, usage } = await stream.final()
  console.error(`\n${finish_reason}, ${usage?.total_tokens ?? 'unknown'} tokens`)
} catch (error) {
  if (!signal.aborted) throw error
  console.error(`\nCome back with --attach ${await stream.id} --after ${after}`)
}
