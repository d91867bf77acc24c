import { createOpenAI } from '@ai-sdk/openai'
import { createOpenResponses } from '@ai-sdk/open-responses'
import { generateText, jsonSchema, Output, streamText, tool, type LanguageModel } from 'ai'
import { describe, expect, it } from 'vitest'
import { startModels } from '../../support/obedient-model.ts'

// AI SDK as it speaks to `/v1/responses`: by default with OpenAI's provider, and with the one for others that have it.

interface Place {
  city: string
}

const place = jsonSchema<Place>({
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
})

const providers: Record<string, (origin: string) => (model: string) => LanguageModel> = {
  '@ai-sdk/openai': (origin) => createOpenAI({ baseURL: `${origin}/v1`, apiKey: 'key' }),
  '@ai-sdk/open-responses': (origin) =>
    createOpenResponses({ name: 'sluice', url: `${origin}/v1/responses`, apiKey: 'key' }),
}

const asked = (model: LanguageModel) => ({
  model,
  tools: { get_weather: tool({ inputSchema: place, execute: ({ city }) => `sunny in ${city}` }) },
  stopWhen: ({ steps }: { steps: unknown[] }) => steps.length === 4,
  prompt: 'CALL get_weather {"city": "Köln"}\nCALL get_weather {"city": "Bonn"}',
  maxRetries: 0,
})

describe.each(Object.entries(providers))('%s', (_, providerOf) => {
  // The provider of OpenAI asks its models that think in another way.
  describe.each(['gpt-test', 'gpt-5.4', 'claude-test'])('with %s', (name) => {
    const start = async () => {
      const { gateway } = await startModels({ openai: ['gpt-test', 'gpt-5.4'], anthropic: ['claude-test'] })
      return providerOf(gateway.url)(name)
    }

    it.each([true, false])('has its tools called, one after the other; stored: %s', async (store) => {
      const providerOptions = { openai: { store } }
      const { text, steps, totalUsage } = await generateText({ ...asked(await start()), providerOptions })
      expect(text).toBe('sunny in Bonn')
      expect(steps.map(({ finishReason }) => finishReason)).toStrictEqual(['tool-calls', 'tool-calls', 'stop'])
      expect(totalUsage).toMatchObject({ inputTokens: 57, outputTokens: 30 })
    })

    it('has its tools called in a stream', async () => {
      const result = streamText(asked(await start()))
      const types: string[] = []
      for await (const part of result.fullStream) {
        if (part.type === 'error') throw part.error
        types.push(part.type)
      }
      expect(types.filter((type) => type === 'tool-result' || type === 'finish-step')).toStrictEqual([
        'tool-result',
        'finish-step',
        'tool-result',
        'finish-step',
        'finish-step',
      ])
      expect(await result.text).toBe('sunny in Bonn')
    })

    it('has an object', async () => {
      const { output } = await generateText({
        model: await start(),
        output: Output.object({ schema: place }),
        prompt: 'SAY {"city": "Bonn"}',
        maxRetries: 0,
      })
      expect(output).toStrictEqual({ city: 'Bonn' })
    })
  })
})
