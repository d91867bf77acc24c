import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeFolder, ROOT, startSluice } from '../support/process.ts'
import { chat } from '../support/reader.ts'
import { startUpstream, type Answer } from '../support/upstream.ts'

const line = (fields: Record<string, unknown>) => `${JSON.stringify({ model: 'llama3.2', done: false, ...fields })}\n`
const said = (message: Record<string, unknown>) => line({ message: { role: 'assistant', content: '', ...message } })
const END = line({ done: true, done_reason: 'length', prompt_eval_count: 7, eval_count: 3 })

async function ask(answer: Answer) {
  const upstream = await startUpstream(answer)
  const ollama = { module: './examples/ollama.js', models: ['llama3.2'], options: { url: upstream.url } }
  const models = { llama: { target: 'ollama/llama3.2', retries: 0 } }
  const folder = await makeFolder({ 'sluice.yaml': JSON.stringify({ providers: { ollama }, models }) })
  const { url } = await startSluice({ args: ['--config', join(folder, 'sluice.yaml')], cwd: ROOT })
  return { reader: await (await chat(url, { model: 'llama', max_tokens: 3 })).end(), upstream }
}

describe('the example of a provider with an API of its own', () => {
  it('streams thoughts and text, and says how it ended', async () => {
    const { reader, upstream } = await ask(async (response) => {
      const bytes = Buffer.from(said({ thinking: 'Hm.' }) + said({ content: 'Grüße' }) + said({ content: ' 👋' }) + END)
      for (let at = 0; at < bytes.length; at += 7) {
        response.write(bytes.subarray(at, at + 7))
        await new Promise((resolve) => setImmediate(resolve))
      }
      response.end()
    })
    expect(reader.deltas.map(({ reasoning = '' }) => reasoning).join('')).toBe('Hm.')
    expect(reader.text).toBe('Grüße 👋')
    expect(reader.dones).toMatchObject([{ finish_reason: 'length', usage: { total_tokens: 10 }, provider: 'ollama' }])
    expect((await upstream.request(0)).body).toMatchObject({ model: 'llama3.2', options: { num_predict: 3 } })
  })

  it.each<[what: string, answer: Answer, code: string]>([
    ['a status', (response) => void response.writeHead(503).end(), 'upstream_unavailable'],
    ['an error in its stream', (response) => void response.end(line({ error: 'out of memory' })), 'upstream_error'],
    ['an end that says nothing', (response) => void response.end(said({ content: 'some' })), 'upstream_truncated'],
  ])('fails with a code of its own: %s', async (_, answer, code) => {
    const { reader } = await ask(answer)
    expect(reader.dones).toMatchObject([{ finish_reason: 'error', error: { code } }])
  })
})
