import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { startModels } from '../support/obedient-model.ts'
import { describeIn, LANGUAGES, SOURCES } from './languages.ts'

// Programs in Python that speak to `/v1/responses`, by OpenAI's package or by frameworks on top of it, over both wires.

const [interpreter] = LANGUAGES.python.run
const MODELS = { openai: ['gpt-test'], anthropic: ['claude-test'] }

const SAID = 'Grüße 👋🏽, you.'
const SUNNY = 'sunny in Köln'
const TWICE = 'sunny in Bonn'
const PLACE = { city: 'Bonn' }

const openai = {
  create: SAID,
  stream: SAID,
  'stream helper': [true, [{ city: 'Köln' }]],
  'stream helper with a type': PLACE,
  parse: PLACE,
  'a second turn': [SUNNY, SUNNY, ['function_call_output', 'function_call', 'message']],
  background: [SAID, [], SAID, 'completed'],
  cancel: ['cancelled', 'cancelled', 'cancelled'],
}

const agents = {
  tools: TWICE,
  handoff: [SUNNY, 'Helper'],
  'handoff, streamed': [
    SUNNY,
    ['handoff_requested', 'handoff_occured', 'tool_called', 'tool_output', 'message_output_created'],
  ],
  'a type': PLACE,
  'previous response': [SUNNY, SAID],
}

const pydanticAi = {
  tools: TWICE,
  'tools, streamed': TWICE,
  'a type': PLACE,
  'previous response': [TWICE, SAID],
}

const langchain = {
  tools: TWICE,
  'tools, streamed': TWICE,
  'previous response': TWICE,
  output_version: TWICE,
  'a type': PLACE,
}

const results: Record<string, object> = { openai, agents, pydantic_ai: pydanticAi, langchain }

describeIn('python', () => {
  describe.each(Object.keys(results))('responses of %s', (client) => {
    it.each(['gpt-test', 'claude-test'])('all that it can is right with %s', async (model) => {
      const { gateway } = await startModels(MODELS)
      expect(await run(client, gateway.url, model)).toStrictEqual(results[client])
    })
  })

  it('agents find the model that they ask for by default', async () => {
    const { gateway, upstreams } = await startModels(MODELS)
    expect(await run('agents', gateway.url, 'default')).toStrictEqual(agents)
    for (const { body } of upstreams.openai.requests) expect(body.model).toMatch(/^gpt-\d/)
  })
})

async function run(client: string, origin: string, model: string): Promise<unknown> {
  const args = ['-B', join(SOURCES, 'python/responses.py'), client, origin, model]
  const { stdout } = await promisify(execFile)(interpreter, args, { timeout: 55_000 })
  return JSON.parse(stdout)
}
